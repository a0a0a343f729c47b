//! The conversion of `track`.

use std::fs;
use std::num::NonZeroU32;
use std::time::Duration;

use config::KeyPath;

use super::reader::Reader;
use super::target::url;
use super::{Effect, Target, Track, file};

const INTERVAL: Duration = Duration::from_secs(1);
/// Below this, a busy machine looks like a dead endpoint.
const SHORTEST_DEFAULT_TIMEOUT: Duration = Duration::from_millis(100);
const MILLISECONDS_10: Duration = Duration::from_millis(10);

impl Reader<'_> {
    pub(super) fn tracks(
        &mut self,
        files: &[file::Track],
        at: &KeyPath,
    ) -> Option<Vec<Track>> {
        let read = files.iter().enumerate();
        let tracks: Vec<_> = read
            .map(|(position, file)| self.track(file, &at.index(position)))
            .collect();
        tracks.into_iter().collect()
    }

    fn track(&mut self, file: &file::Track, at: &KeyPath) -> Option<Track> {
        let target = self.target(file, at);
        let weight = self.number(file.weight, -254..=254, 0, &at.key("weight"));
        let minute = Duration::from_secs(60);
        let hour = Duration::from_secs(3600);
        let interval_at = at.key("interval");
        let interval = self.period(
            file.interval,
            INTERVAL,
            MILLISECONDS_10..=hour,
            &interval_at,
        );
        let default = interval
            .unwrap_or(INTERVAL)
            .clamp(SHORTEST_DEFAULT_TIMEOUT, minute);
        let timeout = self.period(
            file.timeout,
            default,
            MILLISECONDS_10..=minute,
            &at.key("timeout"),
        );
        let fall = self.number(file.fall, 1..=100, 2, &at.key("fall"));
        let rise = self.number(file.rise, 1..=100, 2, &at.key("rise"));
        Some(Track {
            target: target?,
            effect: match weight? {
                0 => Effect::Fault,
                weight => Effect::Weight(weight),
            },
            interval: interval?,
            timeout: timeout?,
            fall: NonZeroU32::new(fall?)?,
            rise: NonZeroU32::new(rise?)?,
        })
    }

    fn target(&mut self, file: &file::Track, at: &KeyPath) -> Option<Target> {
        let one = self.source.one_of(at, &["https", "http", "tcp"]);
        self.errors.keep(one)?;
        if let Some(https) = &file.https {
            self.https(https, &at.key("https"))
        } else if let Some(http) = &file.http {
            let at = at.key("http").key("url");
            let (address, path) = self.try_at(&at, url("http", 80, &http.url))?;
            self.usable(Target::Http { address, path }, &at)
        } else {
            file.tcp.as_ref().map(|tcp| Target::Tcp(tcp.address.0))
        }
    }

    fn https(&mut self, https: &file::Https, at: &KeyPath) -> Option<Target> {
        let url_at = at.key("url");
        let (address, path) = self.try_at(&url_at, url("https", 443, &https.url))?;
        let ca_at = at.key("caFile");
        let authorities = match &https.ca_file {
            None => None,
            Some(path) => match fs::read(path) {
                Ok(pem) => Some(pem),
                Err(error) => {
                    return self.refuse(&ca_at, format!("cannot be read: {error}"));
                }
            },
        };
        if authorities.is_none() && !address.ip().is_loopback() {
            self.warn(&url_at, "is not verified; name a caFile");
        }
        let suspect = if authorities.is_some() {
            &ca_at
        } else {
            &url_at
        };
        let server_name = https.server_name.clone();
        self.usable(
            Target::Https {
                address,
                path,
                authorities,
                server_name,
            },
            suspect,
        )
    }

    fn usable(&mut self, target: Target, at: &KeyPath) -> Option<Target> {
        let check = target.check();
        self.try_at(at, check)?;
        Some(target)
    }

    /// Weights that cannot do what they are for.
    pub(super) fn weigh(&mut self, file: &file::Router, tracks: &[Track], at: &KeyPath) {
        for (position, track) in tracks.iter().enumerate() {
            let at = at.index(position).key("weight");
            let weighs = matches!(track.effect, Effect::Weight(_));
            if weighs && file.priority == Some(255) {
                self.warn(&at, "changes nothing: priority 255 is fixed");
            } else if weighs && file.preempt == Some(false) {
                self.warn(
                    &at,
                    "moves nothing where peers have preempt: false; weight 0 does",
                );
            }
        }
    }
}
