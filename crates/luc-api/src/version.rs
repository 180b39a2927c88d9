//! Microversions: their order, ranges, and what a request's headers ask for.
//!
//! Source: OpenStack API Special Interest Group, "Microversion Specification". The server decides
//! which maximum clients negotiate, so a service's range ends where its tests end.

use std::fmt;
use std::str::FromStr;

use crate::fault::ApiError;
use crate::service::Service;

/// A microversion such as 2.37; ordered numerically part by part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Microversion {
    /// The part before the dot.
    pub major: u16,
    /// The part after the dot.
    pub minor: u16,
}

impl Microversion {
    /// The version `major.minor`.
    pub const fn new(major: u16, minor: u16) -> Self {
        Self { major, minor }
    }

    /// Whether this version is at least `major.minor`: reads well in a ladder of views.
    pub const fn at_least(self, major: u16, minor: u16) -> bool {
        self.major > major || (self.major == major && self.minor >= minor)
    }
}

impl fmt::Display for Microversion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// A text that is no version.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("API Version String {text} is of invalid format. Must be of format MajorNum.MinorNum.")]
pub struct VersionError {
    text: String,
}

impl FromStr for Microversion {
    type Err = VersionError;

    fn from_str(text: &str) -> Result<Self, VersionError> {
        let error = || VersionError {
            text: text.chars().take(64).collect(),
        };
        let (major, minor) = text.split_once('.').ok_or_else(error)?;
        let part = |digits: &str| {
            let canonical = digits.bytes().all(|byte| byte.is_ascii_digit())
                && (digits.len() == 1 || !digits.starts_with('0'));
            canonical
                .then(|| digits.parse::<u16>().ok())
                .flatten()
                .ok_or_else(error)
        };
        if major == "0" {
            return Err(error());
        }
        Ok(Self {
            major: part(major)?,
            minor: part(minor)?,
        })
    }
}

/// A closed range of microversions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VersionRange {
    /// The first version of the range.
    pub min: Microversion,
    /// The last version of the range.
    pub max: Microversion,
}

impl VersionRange {
    /// From `min` to `max`, both included.
    pub const fn new(min: Microversion, max: Microversion) -> Self {
        Self { min, max }
    }

    /// One version only.
    pub const fn exactly(version: Microversion) -> Self {
        Self {
            min: version,
            max: version,
        }
    }

    /// Every version there will ever be.
    pub const EVER: Self = Self {
        min: Microversion::new(0, 0),
        max: Microversion::new(u16::MAX, u16::MAX),
    };

    /// Whether `version` lies in the range.
    pub fn contains(&self, version: Microversion) -> bool {
        self.min <= version && version <= self.max
    }
}

/// The microversion that the headers of a request to `service` ask for.
///
/// `modern` holds every `OpenStack-API-Version` value, `legacy` the value of
/// `X-OpenStack-Nova-API-Version`. No header means the minimum, `latest` the maximum. A malformed
/// version is a 400, one out of range a 406.
pub fn negotiate<'a>(
    service: Service,
    modern: impl Iterator<Item = &'a str>,
    legacy: Option<&str>,
) -> Result<Microversion, ApiError> {
    let facts = service.facts();
    let range = facts.microversions;
    let Some(name) = facts.microversion_name else {
        return Ok(range.max);
    };
    let asked = modern
        .flat_map(|value| value.split(','))
        .filter_map(|entry| {
            let mut words = entry.split_whitespace();
            let word = words.next()?;
            word.eq_ignore_ascii_case(name)
                .then(|| words.next().unwrap_or_default())
        })
        .last()
        .or_else(|| {
            legacy
                .filter(|_| service == Service::Compute)
                .map(str::trim)
        });
    let version = match asked {
        None => return Ok(range.min),
        Some(word) if word.eq_ignore_ascii_case("latest") => return Ok(range.max),
        Some(word) => word
            .parse::<Microversion>()
            .map_err(|error| ApiError::BadRequest {
                message: error.to_string(),
            })?,
    };
    if range.contains(version) {
        Ok(version)
    } else {
        Err(ApiError::VersionNotSupported {
            asked: version,
            range,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compute(modern: &[&str], legacy: Option<&str>) -> Result<Microversion, ApiError> {
        negotiate(Service::Compute, modern.iter().copied(), legacy)
    }

    #[test]
    fn no_header_means_the_minimum() {
        assert_eq!(compute(&[], None).unwrap(), Microversion::new(2, 1));
    }

    #[test]
    fn the_modern_header_wins_over_the_legacy_one() {
        let version = compute(&["volume 3.1, compute 2.37"], Some("2.5")).unwrap();
        assert_eq!(version, Microversion::new(2, 37));
        assert_eq!(compute(&[], Some("2.5")).unwrap(), Microversion::new(2, 5));
    }

    #[test]
    fn latest_is_the_maximum() {
        let max = Service::Compute.facts().microversions.max;
        assert_eq!(compute(&["compute latest"], None).unwrap(), max);
    }

    #[test]
    fn a_version_out_of_range_is_not_acceptable() {
        let error = compute(&["compute 2.999"], None).unwrap_err();
        assert_eq!(error.status().as_u16(), 406);
        assert!(error.to_string().contains("2.999"), "{error}");
    }

    #[test]
    fn a_malformed_version_is_a_bad_request() {
        for bad in [
            "compute two",
            "compute 2",
            "compute 2.01",
            "compute 2.1.1",
            "compute",
        ] {
            assert_eq!(
                compute(&[bad], None).unwrap_err().status().as_u16(),
                400,
                "{bad}"
            );
        }
    }

    #[test]
    fn a_service_without_microversions_ignores_the_headers() {
        let version = negotiate(Service::Identity, ["compute x"].into_iter(), None).unwrap();
        assert_eq!(version, Microversion::new(3, 14));
    }
}
