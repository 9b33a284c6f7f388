//! Things that are watched: samples in, up or down out.

use super::config::{TrackConfig, TrackId};

/// A track.
#[derive(Clone, Copy, Debug)]
pub struct Track {
    config: TrackConfig,
    pub(super) configured: bool,
    up: Option<bool>,
    /// Samples in a row that speak against `up`.
    against: u8,
}

impl Default for Track {
    fn default() -> Self {
        Self::new(TrackConfig { id: TrackId(0), rise: 1, fall: 1, assumed_up: false })
    }
}

impl Track {
    fn new(config: TrackConfig) -> Self {
        Self { config, configured: false, up: config.assumed_up.then_some(true), against: 0 }
    }

    /// Takes another configuration; what is known of the track stays.
    pub(super) fn configure(&mut self, config: &TrackConfig) {
        if self.configured {
            self.config = *config;
        } else {
            *self = Self { configured: true, ..Self::new(*config) };
        }
    }

    /// Its configuration.
    pub fn config(&self) -> &TrackConfig {
        &self.config
    }

    /// Whether it is up; None until something is known of it.
    pub fn up(&self) -> Option<bool> {
        self.up
    }

    /// Takes one sample; says whether the track has changed. The first sample of all counts at once.
    pub(super) fn sample(&mut self, ok: bool) -> bool {
        if self.up == Some(ok) {
            self.against = 0;
            return false;
        }
        self.against = self.against.saturating_add(1);
        let needed = if ok { self.config.rise } else { self.config.fall };
        if self.up.is_some() && self.against < needed {
            return false;
        }
        (self.up, self.against) = (Some(ok), 0);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn track(assumed_up: bool) -> Track {
        let mut track = Track::default();
        track.configure(&TrackConfig { id: TrackId(0), rise: 3, fall: 2, assumed_up });
        track
    }

    #[test]
    fn it_falls_and_rises_after_samples_in_a_row() {
        let mut track = track(true);
        for (ok, changed, up) in [
            (false, false, true),
            (true, false, true),
            (false, false, true),
            (false, true, false),
            (false, false, false),
            (true, false, false),
            (true, false, false),
            (false, false, false),
            (true, false, false),
            (true, false, false),
            (true, true, true),
        ] {
            assert_eq!((track.sample(ok), track.up()), (changed, Some(up)));
        }
    }

    #[test]
    fn the_first_sample_counts_at_once() {
        for ok in [true, false] {
            let mut track = track(false);
            assert_eq!(track.up(), None);
            assert!(track.sample(ok));
            assert_eq!(track.up(), Some(ok));
        }
    }

    #[test]
    fn a_reload_keeps_what_is_known() {
        let mut track = track(false);
        track.sample(false);
        track.configure(&TrackConfig { id: TrackId(0), rise: 1, fall: 1, assumed_up: true });
        assert_eq!(track.up(), Some(false));
        assert!(track.sample(true));
    }
}
