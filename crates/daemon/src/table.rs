//! Tables for people, as `status` prints them.

/// Widest line: what a terminal shows without wrapping.
const WIDTH: usize = 80;

/// `rows` under `head`, columns aligned two spaces apart, lines cut at 80 characters.
pub fn render<const N: usize>(head: [&str; N], rows: &[[String; N]]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = head
        .iter()
        .enumerate()
        .map(|(column, name)| width(column).max(name.chars().count()))
        .collect();
    let line = |cells: Vec<&str>| {
        let padded = cells
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:<width$}"));
        let whole = padded.collect::<Vec<_>>().join("  ");
        let mut cut: String = whole.trim_end().chars().take(WIDTH).collect();
        cut.push('\n');
        cut
    };
    let body = rows
        .iter()
        .map(|row| line(row.iter().map(String::as_str).collect()));
    std::iter::once(line(head.to_vec())).chain(body).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aligns_and_cuts() {
        let rows = [
            ["m1".to_owned(), "up".to_owned()],
            ["a-long-name".to_owned(), "x".repeat(100)],
        ];
        let text = render(["SERVER", "STATE"], &rows);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "SERVER       STATE");
        assert_eq!(lines[1], "m1           up");
        assert_eq!(lines[2].len(), WIDTH);
    }
}
