//! YAML text as a tree that knows its lines.
//!
//! Everything that serde cannot say with a line is refused here: text that is not
//! YAML, keys written twice, tags, a second document, and trees that aliases blow up.
//! Depth is bounded, so whoever walks a tree may recurse.

use crate::{Error, KeyPath};
use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span, StrInput, Tag};
use std::collections::BTreeMap;

/// Deepest nesting. Our deepest file has 7; beyond 64 nobody means it.
const DEPTH: usize = 64;

/// Most values of a file after aliases are put in: 1,000 servers need about 10,000.
const VALUES: usize = 100_000;

/// One value and the line its key, or it itself, stands on.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    pub(crate) line: usize,
    pub(crate) value: Value,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    /// Text, and whether it stands without quotes.
    Scalar {
        text: String,
        plain: bool,
    },
    List(Vec<Node>),
    Map(Vec<Entry>),
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) node: Node,
}

impl Node {
    /// Whether nothing stands here: `key:`, `~`, `null`.
    pub(crate) fn is_null(&self) -> bool {
        match &self.value {
            Value::Scalar { text, plain: true } => {
                matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL")
            }
            Value::Scalar { .. } | Value::List(_) | Value::Map(_) => false,
        }
    }

    /// The value of `key`, when this is a mapping that has it.
    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        let Value::Map(entries) = &self.value else {
            return None;
        };
        entries
            .iter()
            .find(|entry| entry.key == key)
            .map(|entry| &entry.node)
    }

    /// Values in this tree, and its depth.
    fn measure(&self) -> (usize, usize) {
        let add = |(count, depth): (usize, usize), child: &Node| {
            let (more, below) = child.measure();
            (count + more, depth.max(below + 1))
        };
        match &self.value {
            Value::Scalar { .. } => (1, 0),
            Value::List(items) => items.iter().fold((1, 0), add),
            Value::Map(entries) => entries.iter().map(|e| &e.node).fold((1, 0), add),
        }
    }
}

/// A tree, if the text holds any value, and what is wrong with it that does not keep
/// the rest from being read.
#[derive(Debug)]
pub(crate) struct Tree {
    pub(crate) root: Option<Node>,
    pub(crate) errors: Vec<Error>,
}

/// Reads `text`, which errors call `name`.
pub(crate) fn build(name: &str, text: &str) -> Result<Tree, Error> {
    let mut builder = Builder::new(name, last_line(text));
    let mut parser = Parser::new(StrInput::new(text));
    while let Some(event) = parser.next_event() {
        let (event, span) = event.map_err(|error| not_yaml(name, text, &error))?;
        builder.take(event, span)?;
    }
    Ok(Tree {
        root: builder.root,
        errors: builder.errors,
    })
}

fn not_yaml(name: &str, text: &str, error: &ScanError) -> Error {
    let line = error.marker().line().clamp(1, last_line(text));
    let indent = |line: usize| {
        let whole = text.lines().nth(line.checked_sub(1)?)?;
        whole.split(|c: char| !c.is_whitespace()).next()
    };
    // The scanner names the line it stands on, or that of the value before the tab.
    let tabbed = [line, line + 1, line.saturating_sub(1)]
        .into_iter()
        .find(|line| indent(*line).is_some_and(|indent| indent.contains('\t')));
    match tabbed {
        Some(line) => {
            Error::of_file(name, "is indented with a tab; YAML indents with spaces")
                .on_line(line)
        }
        None => {
            Error::of_file(name, format!("is not YAML: {}", error.info())).on_line(line)
        }
    }
}

/// At the end of a text the scanner may stand one line past the last.
fn last_line(text: &str) -> usize {
    text.matches(['\n', '\r']).count() + 1
}

fn shown(tag: &Tag) -> String {
    if tag.is_yaml_core_schema() {
        format!("!!{}", tag.suffix)
    } else {
        tag.to_string()
    }
}

/// A mapping or list that is not complete.
struct Frame {
    anchor: usize,
    node: Node,
    key: Option<Key>,
}

struct Key {
    text: String,
    line: usize,
    again: bool,
}

struct Builder<'a> {
    name: &'a str,
    last_line: usize,
    frames: Vec<Frame>,
    anchors: BTreeMap<usize, Node>,
    values: usize,
    documents: usize,
    root: Option<Node>,
    errors: Vec<Error>,
}

impl<'a> Builder<'a> {
    fn new(name: &'a str, last_line: usize) -> Self {
        Self {
            name,
            last_line,
            frames: Vec::new(),
            anchors: BTreeMap::new(),
            values: 0,
            documents: 0,
            root: None,
            errors: Vec::new(),
        }
    }

    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Error> {
        let line = span.start.line().clamp(1, self.last_line);
        match event {
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentEnd => Ok(()),
            Event::DocumentStart(_) => self.document(line),
            Event::Scalar(text, style, anchor, tag) => {
                self.no_tag(tag.as_deref(), line)?;
                let plain = style == ScalarStyle::Plain;
                let value = Value::Scalar {
                    text: text.into_owned(),
                    plain,
                };
                self.complete(anchor, Node { line, value })
            }
            Event::SequenceStart(anchor, tag) => {
                self.no_tag(tag.as_deref(), line)?;
                self.open(
                    anchor,
                    Node {
                        line,
                        value: Value::List(Vec::new()),
                    },
                )
            }
            Event::MappingStart(anchor, tag) => {
                self.no_tag(tag.as_deref(), line)?;
                self.open(
                    anchor,
                    Node {
                        line,
                        value: Value::Map(Vec::new()),
                    },
                )
            }
            Event::SequenceEnd | Event::MappingEnd => match self.frames.pop() {
                Some(frame) => self.complete(frame.anchor, frame.node),
                None => Ok(()),
            },
            Event::Alias(anchor) => self.alias(anchor, line),
        }
    }

    fn document(&mut self, line: usize) -> Result<(), Error> {
        self.documents += 1;
        if self.documents > 1 {
            return Err(self.fatal(line, "begins a second document; a file holds one"));
        }
        Ok(())
    }

    fn no_tag(&self, tag: Option<&Tag>, line: usize) -> Result<(), Error> {
        match tag {
            Some(tag) => {
                let problem =
                    format!("has the tag \"{}\"; write the value without it", shown(tag));
                Err(self.fatal(line, problem))
            }
            None => Ok(()),
        }
    }

    fn open(&mut self, anchor: usize, node: Node) -> Result<(), Error> {
        if self.frames.len() >= DEPTH {
            let problem = format!("is nested deeper than {DEPTH} levels");
            return Err(self.fatal(node.line, problem));
        }
        if self.wants_key() {
            let problem = "has a list or mapping as a key; a key is one word";
            return Err(self.fatal(node.line, problem));
        }
        self.frames.push(Frame {
            anchor,
            node,
            key: None,
        });
        Ok(())
    }

    fn alias(&mut self, anchor: usize, line: usize) -> Result<(), Error> {
        let Some(node) = self.anchors.get(&anchor).cloned() else {
            return Err(self.fatal(line, "has an alias inside the value it stands for"));
        };
        let (values, depth) = node.measure();
        self.values = self.values.saturating_add(values);
        if self.frames.len() + depth >= DEPTH || self.values > VALUES {
            let problem = format!(
                "has an alias that makes the file larger than {VALUES} values or deeper than {DEPTH} levels"
            );
            return Err(self.fatal(line, problem));
        }
        self.complete(0, node)
    }

    fn complete(&mut self, anchor: usize, node: Node) -> Result<(), Error> {
        self.values = self.values.saturating_add(1);
        if self.values > VALUES {
            let problem = format!("is the line where the file passes {VALUES} values");
            return Err(self.fatal(node.line, problem));
        }
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        if self.wants_key() {
            self.key(node)
        } else {
            self.attach(node)
        }
    }

    fn wants_key(&self) -> bool {
        self.frames.last().is_some_and(|frame| {
            frame.key.is_none() && matches!(frame.node.value, Value::Map(_))
        })
    }

    fn key(&mut self, node: Node) -> Result<(), Error> {
        let line = node.line;
        let Value::Scalar { text, .. } = node.value else {
            return Err(
                self.fatal(line, "has a list or mapping as a key; a key is one word")
            );
        };
        if text.is_empty() {
            return Err(self.fatal(line, "has a value without a key before the colon"));
        }
        let mut first = None;
        if let Some(frame) = self.frames.last_mut() {
            first = frame.node.get(&text).map(|known| known.line);
            frame.key = Some(Key {
                text,
                line,
                again: first.is_some(),
            });
        }
        if let Some(first) = first {
            let problem = format!("is written twice; it stands on line {first} already");
            let error = self.fatal(line, problem).at(self.here());
            self.errors.push(error);
        }
        Ok(())
    }

    fn attach(&mut self, mut node: Node) -> Result<(), Error> {
        let Some(frame) = self.frames.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        match &mut frame.node.value {
            Value::List(items) => items.push(node),
            Value::Map(entries) => {
                if let Some(key) = frame.key.take().filter(|key| !key.again) {
                    node.line = key.line;
                    entries.push(Entry {
                        key: key.text,
                        node,
                    });
                }
            }
            Value::Scalar { .. } => {}
        }
        Ok(())
    }

    /// The key that is being read.
    fn here(&self) -> KeyPath {
        self.frames.iter().fold(KeyPath::root(), |path, frame| {
            match (&frame.key, &frame.node.value) {
                (Some(key), _) => path.key(&key.text),
                (None, Value::List(items)) => path.index(items.len()),
                (None, Value::Map(_) | Value::Scalar { .. }) => path,
            }
        })
    }

    fn fatal(&self, line: usize, problem: impl Into<String>) -> Error {
        Error::of_file(self.name, problem).on_line(line)
    }
}
