//! Ids: their bits, their written forms, and what is refused.

use proptest::prelude::*;

use super::*;
use crate::entropy::SplitMix64;

fn site() -> SitePrefix {
    SitePrefix::of_key(b"a founding key")
}

#[test]
fn an_id_says_where_it_was_born() {
    let id = ServerId::born_at(site(), &mut SplitMix64::new(1));
    assert_eq!(id.birth_site(), Some(site()));
    assert_eq!(id.as_str().len(), 36);
    assert!(id.as_str().starts_with(&site().to_string()[..8]));
}

#[test]
fn keystones_ids_are_written_without_dashes() {
    let id = ProjectId::born_at(site(), &mut SplitMix64::new(1));
    assert_eq!(id.as_str().len(), 32);
    assert_eq!(id.birth_site(), Some(site()));
}

#[test]
fn version_and_variant_are_those_of_rfc_9562() {
    for seed in 0..200 {
        let uuid = Uuid::born_at(site(), &mut SplitMix64::new(seed));
        assert_eq!(uuid.as_bytes()[6] >> 4, 8);
        assert_eq!(uuid.as_bytes()[8] >> 6, 0b10);
    }
}

#[test]
fn ids_of_others_have_no_birth_site() {
    assert_eq!(DomainId::parse("default").unwrap().birth_site(), None);
    let version_4 = "df98623c-6501-4517-810f-66a5356ecd2d";
    assert_eq!(ImageId::parse(version_4).unwrap().birth_site(), None);
}

#[test]
fn what_no_path_segment_can_hold_is_no_id() {
    for bad in ["", "a/b", "a b", "tab\there", "line\n", &"x".repeat(256)] {
        assert!(FlavorId::parse(bad).is_err(), "{bad:?} was accepted");
    }
    assert!(FlavorId::parse("m1.tiny").is_ok());
}

#[test]
fn half_a_uuid_is_refused_with_the_text_in_the_error() {
    let error = Uuid::parse("df98623c-6501").unwrap_err();
    assert!(error.to_string().contains("df98623c-6501"), "{error}");
    for bad in [
        "df98623c65014517810f66a5356ecd2",
        "df98623c-6501-4517-810f-66a5356ecd2g",
        "df98623c-65014-517-810f-66a5356ecd2d",
        "df98623c65014517810f66a5356ecd2d00",
        "------------------------------------",
    ] {
        assert!(Uuid::parse(bad).is_err(), "{bad} was accepted");
    }
}

#[test]
fn a_site_prefix_survives_being_written() {
    assert_eq!(site().to_string().parse::<SitePrefix>().unwrap(), site());
    assert!("xyz".parse::<SitePrefix>().is_err());
    assert!("éééééé".parse::<SitePrefix>().is_err());
}

#[test]
fn an_id_is_a_plain_string_in_json() {
    let id = FlavorId::parse("m1.tiny").unwrap();
    assert_eq!(serde_json::to_string(&id).unwrap(), "\"m1.tiny\"");
    assert_eq!(serde_json::from_str::<FlavorId>("\"m1.tiny\"").unwrap(), id);
    assert!(serde_json::from_str::<FlavorId>("\"a/b\"").is_err());
}

proptest! {
    #[test]
    fn both_written_forms_are_read_back(bytes: [u8; 16]) {
        let uuid = Uuid::from_bytes(bytes);
        prop_assert_eq!(Uuid::parse(&uuid.hyphenated()).unwrap(), uuid);
        prop_assert_eq!(Uuid::parse(&uuid.simple().to_uppercase()).unwrap(), uuid);
    }

    #[test]
    fn no_text_makes_the_parser_panic(text: String) {
        let _ = Uuid::parse(&text);
        let _ = ServerId::parse(&text);
        let _ = text.parse::<SitePrefix>();
    }
}
