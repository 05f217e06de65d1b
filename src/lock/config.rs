//! How to wait and what to break: the settings that all locks share.
//!
//! Owns: [`LockConfig`] and [`Wait`], with the names that they have in `settings.json`. Never: waits itself.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::time::Duration;

/// How long to wait for a lock that somebody has. Measured on a clock that never steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Not at all: one try.
    Never,
    /// So long at most.
    For(Duration),
    /// Until it is free.
    Forever,
}

impl Wait {
    /// The time that is left after so much has passed; `None` = without end.
    pub(super) fn left(self, passed: Duration) -> Option<Duration> {
        match self {
            Self::Never => Some(Duration::ZERO),
            Self::For(span) => Some(span.saturating_sub(passed)),
            Self::Forever => None,
        }
    }
}

/// In JSON: seconds; 0 = never, null = forever.
impl Serialize for Wait {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Never => Some(0.0),
            Self::For(span) => Some(span.as_secs_f64()),
            Self::Forever => None,
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Wait {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match Option::<f64>::deserialize(deserializer)? {
            None => Self::Forever,
            Some(secs) => match span(secs).map_err(serde::de::Error::custom)? {
                Duration::ZERO => Self::Never,
                span => Self::For(span),
            },
        })
    }
}

/// How a lock is taken. The same names stand in `settings.json`, under `locks`.
///
/// ```
/// use lockscope::lock::{LockConfig, Wait};
/// let config = LockConfig { timeout: Wait::Never, ..LockConfig::default() };
/// assert!(config.enabled);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LockConfig {
    /// Off: guards are given without locking, and say so ([`Protection::Disabled`](super::Protection::Disabled)).
    pub enabled: bool,
    /// How long to wait. In JSON `timeout_secs`: seconds, 0 = not at all, null = for ever.
    #[serde(rename = "timeout_secs")]
    pub timeout: Wait,
    /// The longest pause between two tries, give or take a quarter, so that many waiters do not try in step. The first
    /// pauses are shorter, unless [`Self::retry_attempts`] counts them. In JSON `retry_interval_ms`.
    ///
    /// 50 ms unless set; programs with PID files are used to 500.
    #[serde(rename = "retry_interval_ms", with = "millis")]
    pub retry_interval: Duration,
    /// So many tries after the first at most, even if there is time left; `None` = as many as there is time for.
    pub retry_attempts: Option<u32>,
    /// The age from which the lock of a process that is proved gone is broken; `None` = never broken. Age alone never
    /// breaks one. In JSON `stale_after_secs`.
    #[serde(rename = "stale_after_secs", with = "maybe_secs")]
    pub stale_after: Option<Duration>,
    /// What [`clear_stale_at_start`](super::clear_stale_at_start) does: clears the stale locks of a directory.
    pub clear_stale_at_start: bool,
}

impl Default for LockConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            timeout: Wait::For(Duration::from_secs(30)),
            retry_interval: Duration::from_millis(50),
            retry_attempts: None,
            stale_after: Some(Duration::from_mins(10)),
            clear_stale_at_start: false,
        }
    }
}

impl LockConfig {
    /// The usual settings with this patience.
    pub fn waiting(timeout: Wait) -> Self {
        Self { timeout, ..Self::default() }
    }
}

fn span(secs: f64) -> Result<Duration, String> {
    Duration::try_from_secs_f64(secs).map_err(|error| format!("{secs} is no span of time: {error}"))
}

mod millis {
    use super::Duration;
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(span: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(u64::try_from(span.as_millis()).unwrap_or(u64::MAX))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        u64::deserialize(deserializer).map(Duration::from_millis)
    }
}

mod maybe_secs {
    use super::{Duration, span};
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    #[allow(clippy::ref_option, reason = "serde's signature")]
    pub(super) fn serialize<S: Serializer>(span: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
        span.map(|span| span.as_secs_f64()).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
        Option::<f64>::deserialize(deserializer)?.map(span).transpose().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_has_the_names_of_the_settings() {
        let text = serde_json::to_string(&LockConfig::default()).unwrap();
        let same = r#"{"enabled":true,"timeout_secs":30.0,"retry_interval_ms":50,"retry_attempts":null,"stale_after_secs":600.0,"clear_stale_at_start":false}"#;
        assert_eq!(text, same);
        assert_eq!(serde_json::from_str::<LockConfig>(&text).unwrap(), LockConfig::default());
    }

    #[test]
    fn what_is_missing_is_as_usual_and_what_is_odd_is_an_error() {
        let usual = LockConfig::default();
        for (text, config) in [
            ("{}", usual.clone()),
            (r#"{"timeout_secs": null}"#, LockConfig::waiting(Wait::Forever)),
            (r#"{"timeout_secs": 0}"#, LockConfig::waiting(Wait::Never)),
            (r#"{"timeout_secs": 1.5}"#, LockConfig::waiting(Wait::For(Duration::from_millis(1500)))),
            (r#"{"stale_after_secs": null}"#, LockConfig { stale_after: None, ..usual.clone() }),
            (r#"{"stale_after_secs": 0}"#, LockConfig { stale_after: Some(Duration::ZERO), ..usual.clone() }),
            (
                r#"{"retry_interval_ms": 500, "retry_attempts": 3, "enabled": false}"#,
                LockConfig {
                    retry_interval: Duration::from_millis(500),
                    retry_attempts: Some(3),
                    enabled: false,
                    ..usual.clone()
                },
            ),
        ] {
            assert_eq!(serde_json::from_str::<LockConfig>(text).unwrap(), config, "{text}");
        }
        for text in [r#"{"timeout_secs": -1}"#, r#"{"stale_after_secs": 1e300}"#, r#"{"retry_interval_ms": -5}"#] {
            assert!(serde_json::from_str::<LockConfig>(text).is_err(), "{text}");
        }
    }
}
