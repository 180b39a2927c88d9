//! Times as Nova writes and reads them.
//!
//! Nova writes `created` with a `Z` and without fractions, and everything that came from an
//! extension without a zone and with microseconds. Written by hand because a list of servers has
//! thousands of them.

use std::fmt;

use luc_api::ApiError;
use luc_core::time::Timestamp;
use serde::{Serialize, Serializer};
use time::format_description::well_known::Iso8601;
use time::macros::format_description;
use time::{Date, OffsetDateTime, PrimitiveDateTime};

/// Such as `2026-11-22T04:16:32Z`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seconds(pub(super) Timestamp);

/// Such as `2026-11-22T04:16:41.000000`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Micros(pub(super) Timestamp);

const DAY_SECS: i64 = 86_400;

/// Year, month and day of a day since the Unix epoch (Hinnant, "chrono-compatible low-level date
/// algorithms", `civil_from_days`).
fn civil(day: i64) -> (i64, i64, i64) {
    let day = day + 719_468;
    let era = day.div_euclid(146_097);
    let of_era = day.rem_euclid(146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    let year = year + era * 400 + i64::from(month <= 2);
    (year, month, of_year - (153 * shifted + 2) / 5 + 1)
}

fn write_seconds(f: &mut fmt::Formatter<'_>, time: Timestamp) -> fmt::Result {
    let secs = time.unix_secs();
    let (year, month, day) = civil(secs.div_euclid(DAY_SECS));
    let of_day = secs.rem_euclid(DAY_SECS);
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    write!(
        f,
        "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}"
    )
}

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_seconds(f, self.0)?;
        f.write_str("Z")
    }
}

impl fmt::Display for Micros {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_seconds(f, self.0)?;
        write!(f, ".{:06}", self.0.unix_micros().rem_euclid(1_000_000))
    }
}

impl Serialize for Seconds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Serialize for Micros {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Reads the times that clients write in queries: ISO 8601, a date alone, or without a zone, which
/// then is UTC.
pub(super) fn parse(name: &str, text: &str) -> Result<Timestamp, ApiError> {
    let date = format_description!("[year]-[month]-[day]");
    let time = OffsetDateTime::parse(text, &Iso8601::PARSING)
        .ok()
        .or_else(|| {
            Some(
                PrimitiveDateTime::parse(text, &Iso8601::PARSING)
                    .ok()?
                    .assume_utc(),
            )
        })
        .or_else(|| Some(Date::parse(text, &date).ok()?.midnight().assume_utc()));
    let Some(time) = time else {
        let reason = format!("'{text}' is not a 'date-time'");
        return Err(ApiError::invalid(name, reason));
    };
    let micros = i64::try_from(time.unix_timestamp_nanos() / 1_000);
    Ok(Timestamp::from_unix_micros(micros.unwrap_or(i64::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_nova_writes_them() {
        let time = Timestamp::from_unix_micros(1_795_321_001_000_123);
        assert_eq!(Seconds(time).to_string(), "2026-11-22T04:16:41Z");
        assert_eq!(Micros(time).to_string(), "2026-11-22T04:16:41.000123");
        let leap = Timestamp::from_unix_secs(1_709_164_800);
        assert_eq!(Seconds(leap).to_string(), "2024-02-29T00:00:00Z");
        let before = Timestamp::from_unix_micros(-1);
        assert_eq!(Micros(before).to_string(), "1969-12-31T23:59:59.999999");
    }

    #[test]
    fn what_is_written_is_read() {
        for micros in [0, 1_795_321_001_000_000, 951_782_400_000_000] {
            let time = Timestamp::from_unix_micros(micros);
            assert_eq!(parse("t", &Seconds(time).to_string()).unwrap(), time);
            assert_eq!(parse("t", &Micros(time).to_string()).unwrap(), time);
        }
        assert_eq!(
            parse("t", "1970-01-02").unwrap(),
            Timestamp::from_unix_secs(86_400)
        );
        let zoned = parse("t", "1970-01-01T02:00:00+02:00").unwrap();
        assert_eq!(zoned, Timestamp::from_unix_secs(0));
        for bad in ["", "yesterday", "1970-13-01T00:00:00Z"] {
            assert!(parse("changes-since", bad).is_err(), "{bad} was accepted");
        }
    }
}
