//! Moments as JSON and metrics have them: seconds since 1970, with a fraction.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize as _, Deserializer, Serializer};

/// Seconds since 1970; 0 before.
#[must_use]
pub fn seconds(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

/// The moment so many seconds after 1970; 1970 where there is none.
#[must_use]
pub fn moment(seconds: f64) -> SystemTime {
    let since = Duration::try_from_secs_f64(seconds).unwrap_or_default();
    UNIX_EPOCH.checked_add(since).unwrap_or(UNIX_EPOCH)
}

/// For `#[serde(with)]`: writes seconds.
///
/// # Errors
/// The serializer's.
pub fn serialize<S: Serializer>(time: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(seconds(*time))
}

/// For `#[serde(with)]`: reads seconds.
///
/// # Errors
/// It is no number.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SystemTime, D::Error> {
    f64::deserialize(deserializer).map(moment)
}

#[cfg(test)]
mod tests {
    use super::{Duration, UNIX_EPOCH, moment, seconds};

    #[test]
    fn what_is_no_moment_is_1970() {
        let time = UNIX_EPOCH + Duration::from_millis(1_795_380_001_250);
        assert_eq!(moment(seconds(time)), time);
        for wrong in [-1.0, f64::NAN, f64::INFINITY, 1e300, 1e19] {
            assert_eq!(moment(wrong), UNIX_EPOCH, "{wrong}");
        }
        assert!(seconds(UNIX_EPOCH - Duration::from_secs(1)).abs() < f64::EPSILON);
    }
}
