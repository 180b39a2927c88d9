//! The part of an image's data that a `Range` header asks for (RFC 9110, section 14).

use std::ops::Range;

use luc_api::ApiError;

/// The bytes that `header` asks for of `size` bytes. One range only, as in Glance.
pub(super) fn parse(header: &str, size: u64) -> Result<Range<u64>, ApiError> {
    if header.contains(',') {
        return Err(ApiError::bad_request(
            "Requests with multiple ranges are not supported in Glance. You may make multiple \
             single-range requests instead.",
        ));
    }
    let malformed = || ApiError::RangeNotSatisfiable {
        message: "Invalid Range header.".to_owned(),
    };
    let (unit, range) = header.split_once('=').ok_or_else(malformed)?;
    let (first, last) = range.trim().split_once('-').ok_or_else(malformed)?;
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return Err(malformed());
    }
    let number = |text: &str| {
        let text = text.trim();
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        // What does not fit is beyond every end.
        digits
            .then(|| text.parse().unwrap_or(u64::MAX))
            .ok_or_else(malformed)
    };
    let found = match (first.trim(), last.trim()) {
        ("", suffix) => size.saturating_sub(number(suffix)?)..size,
        (first, "") => number(first)?..size,
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            if last < first {
                return Err(malformed());
            }
            first..last.saturating_add(1).min(size)
        }
    };
    if found.start >= size {
        let message = format!(
            "Invalid start position in Range header. Start position MUST be in the inclusive \
             range [0, {}].",
            size.saturating_sub(1)
        );
        return Err(ApiError::RangeNotSatisfiable { message });
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_given_as_first_and_last_byte_or_as_how_many_from_the_end() {
        assert_eq!(parse("bytes=0-4", 10).unwrap(), 0..5);
        assert_eq!(parse("bytes=4-", 10).unwrap(), 4..10);
        assert_eq!(parse("bytes=-3", 10).unwrap(), 7..10);
        assert_eq!(parse("bytes=-30", 10).unwrap(), 0..10);
        assert_eq!(parse("bytes=8-99999999999999999999", 10).unwrap(), 8..10);
    }

    #[test]
    fn a_part_that_is_not_there_is_refused() {
        for bad in [
            "bytes=10-",
            "bytes=5-4",
            "bytes=-",
            "bytes=a-b",
            "bytes",
            "lines=0-1",
            "bytes=-0",
        ] {
            assert_eq!(parse(bad, 10).unwrap_err().status().as_u16(), 416, "{bad}");
        }
        assert_eq!(parse("bytes=0-", 0).unwrap_err().status().as_u16(), 416);
        assert_eq!(
            parse("bytes=0-1,4-5", 10).unwrap_err().status().as_u16(),
            400
        );
    }
}
