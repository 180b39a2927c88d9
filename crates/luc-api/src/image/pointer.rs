//! JSON pointers (RFC 6901), in the limited form that Glance takes them.

use crate::fault::ApiError;

/// Splits `pointer` into its unescaped steps; at least one, none of them empty.
pub(super) fn steps(pointer: &str) -> Result<Vec<String>, ApiError> {
    let refuse = |what: &str| {
        Err(ApiError::bad_request(format!(
            "Pointer `{pointer}` {what}."
        )))
    };
    let Some(rest) = pointer.strip_prefix('/') else {
        return refuse("does not start with \"/\"");
    };
    let raw: Vec<&str> = rest.split('/').collect();
    if raw.len() > 1 && raw.last().is_some_and(|step| step.is_empty()) {
        return refuse("end with \"/\"");
    }
    if raw.len() > 1 && raw.iter().any(|step| step.trim().is_empty()) {
        return refuse("contains adjacent \"/\"");
    }
    if rest.trim().is_empty() {
        return refuse("does not contains valid token");
    }
    let escapes_right = rest
        .split('~')
        .skip(1)
        .all(|after| after.starts_with(['0', '1']));
    if !escapes_right {
        return refuse("contains \"~\" not part of a recognized escape sequence");
    }
    Ok(raw
        .iter()
        .map(|step| step.replace("~1", "/").replace("~0", "~").trim().to_owned())
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_undone_in_the_right_order() {
        assert_eq!(steps("/a~1b").unwrap(), ["a/b"]);
        assert_eq!(steps("/a~01").unwrap(), ["a~1"]);
        assert_eq!(steps("/locations/0").unwrap(), ["locations", "0"]);
    }

    #[test]
    fn a_malformed_pointer_is_refused() {
        for bad in [
            "name", "", "/", "/ ", "/a/", "/a//b", "/a/ /b", "/~", "/a~2", "/~name", "//",
        ] {
            assert!(steps(bad).is_err(), "{bad:?} was accepted");
        }
    }
}
