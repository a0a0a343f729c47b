//! How exposed a unit is, as the machine's own systemd scores it: the one that hosts of the
//! lab run, whatever this system has.

use super::Machine;
use crate::error::LabError;
use crate::host::Host as _;

impl Machine {
    /// The score of a unit that is loaded, in tenths.
    ///
    /// # Errors
    /// When the machine's systemd does not score it.
    pub fn exposure(&self, unit: &str) -> Result<u32, LabError> {
        let said = self.output("systemd-analyze", &["security", "--no-pager", unit])?;
        score(&said).ok_or_else(|| LabError::Missing(format!("a score of {unit}")))
    }
}

/// Reads `→ Overall exposure level for NAME: 1.4 OK :-)`.
fn score(said: &str) -> Option<u32> {
    let mut lines = said.lines();
    let line = lines.find(|line| line.contains("Overall exposure level"))?;
    let number = line.rsplit(": ").next()?.split(' ').next()?;
    number.replace('.', "").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::score;

    #[test]
    fn the_score_stands_in_the_last_line() {
        let said = "  NAME  DESCRIPTION  EXPOSURE\n✓ User=  no root  0.4\n\n→ Overall exposure \
                    level for api-lb.service: 1.4 OK :-)\n";
        assert_eq!(score(said), Some(14));
        assert_eq!(score("Failed to load units"), None);
    }
}
