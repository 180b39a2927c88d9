//! Identifiers with the birth site in them.
//!
//! A [`Uuid`] made here is version 8 of RFC 9562: its first 48 bits are the [`SitePrefix`] (the
//! truncated SHA-256 of the site's founding key), the 74 bits left beside version and variant are
//! random. Nothing is assigned and nothing collides by accident; any node can route a request for
//! an unknown id to the site that made it.
//!
//! ```text
//!  0                   1                   2                   3
//!  |<------------- site prefix, 48 bits ------------->| 8 | 12 random |
//!  |10|<----------------------- 62 random bits ---------------------->|
//! ```
//!
//! Ids that clients or upstream choose (`default`, flavor ids, client-chosen image ids) are not of
//! this form. A typed id therefore wraps a string that has been checked for the characters every
//! OpenStack API accepts in a path segment, and says its birth site only if it has one.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::entropy::Entropy;

/// The 48 bits of a site's founding key that stand in every id the site makes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SitePrefix([u8; 6]);

impl Serialize for SitePrefix {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for SitePrefix {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl SitePrefix {
    /// The prefix of the site whose founding public key is `key`.
    pub fn of_key(key: &[u8]) -> Self {
        let digest = Sha256::digest(key);
        let mut prefix = [0u8; 6];
        prefix.copy_from_slice(&digest[..6]);
        Self(prefix)
    }

    /// The prefix with these very bits.
    pub const fn from_bytes(bytes: [u8; 6]) -> Self {
        Self(bytes)
    }

    /// The bits.
    pub const fn as_bytes(&self) -> &[u8; 6] {
        &self.0
    }
}

impl fmt::Display for SitePrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for SitePrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SitePrefix({self})")
    }
}

impl FromStr for SitePrefix {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let error = || IdError::SitePrefix {
            text: text.to_owned(),
        };
        if text.len() != 12 || !text.is_ascii() {
            return Err(error());
        }
        let mut bytes = [0u8; 6];
        for (index, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[index * 2..index * 2 + 2], 16).map_err(|_| error())?;
        }
        Ok(Self(bytes))
    }
}

/// 128 bits in the form of RFC 9562, whatever their version.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uuid([u8; 16]);

impl Uuid {
    /// A new id born at `site`: version 8, 74 bits from `entropy`.
    pub fn born_at(site: SitePrefix, entropy: &mut impl Entropy) -> Self {
        let mut bytes = [0u8; 16];
        entropy.fill(&mut bytes[6..]);
        bytes[..6].copy_from_slice(site.as_bytes());
        bytes[6] = 0x80 | (bytes[6] & 0x0f);
        bytes[8] = 0x80 | (bytes[8] & 0x3f);
        Self(bytes)
    }

    /// The id with these very bits.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The bits.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// The site that made this id, if it is one of ours.
    pub fn birth_site(&self) -> Option<SitePrefix> {
        let ours = self.0[6] >> 4 == 8 && self.0[8] >> 6 == 0b10;
        let mut prefix = [0u8; 6];
        prefix.copy_from_slice(&self.0[..6]);
        ours.then_some(SitePrefix(prefix))
    }

    /// 36 characters with dashes, as Nova and Glance write ids.
    pub fn hyphenated(&self) -> String {
        let hex = self.simple();
        [
            &hex[..8],
            &hex[8..12],
            &hex[12..16],
            &hex[16..20],
            &hex[20..],
        ]
        .join("-")
    }

    /// 32 characters without dashes, as Keystone writes ids.
    pub fn simple(&self) -> String {
        self.0
            .iter()
            .fold(String::with_capacity(32), |mut hex, byte| {
                use fmt::Write as _;
                // Writing to a string cannot fail.
                let _ = write!(hex, "{byte:02x}");
                hex
            })
    }

    /// Reads either written form, in any letter case.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        let error = || IdError::Uuid {
            text: text.chars().take(64).collect(),
        };
        let raw = text.as_bytes();
        let hyphens_right = match raw.len() {
            32 => true,
            36 => [8, 13, 18, 23].iter().all(|&at| raw[at] == b'-'),
            _ => return Err(error()),
        };
        let mut bytes = [0u8; 16];
        let mut digits = 0;
        for &character in raw.iter().filter(|&&character| character != b'-') {
            let digit = (character as char).to_digit(16).ok_or_else(error)? as u8;
            let byte = bytes.get_mut(digits / 2).ok_or_else(error)?;
            *byte = (*byte << 4) | digit;
            digits += 1;
        }
        if digits == 32 && hyphens_right {
            Ok(Self(bytes))
        } else {
            Err(error())
        }
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.hyphenated())
    }
}

impl fmt::Debug for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Uuid({self})")
    }
}

impl FromStr for Uuid {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        Self::parse(text)
    }
}

impl Serialize for Uuid {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Uuid {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

/// Why a text is no id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// Not 32 hexadecimal digits, with or without the four dashes.
    #[error("'{text}' is not a UUID: expected 32 hexadecimal digits, with or without dashes")]
    Uuid {
        /// What was given, cut to 64 characters.
        text: String,
    },
    /// Not 12 hexadecimal digits.
    #[error("'{text}' is not a site prefix: expected 12 hexadecimal digits")]
    SitePrefix {
        /// What was given.
        text: String,
    },
    /// Empty, too long, or with characters that no id has.
    #[error("'{text}' is not an id: expected 1 to 255 characters without '/', control or space")]
    Name {
        /// What was given, cut to 64 characters.
        text: String,
    },
}

/// The longest id that OpenStack's databases and ours take.
pub const ID_LENGTH_MAX: usize = 255;

fn check_name(text: &str) -> Result<(), IdError> {
    let good = !text.is_empty()
        && text.len() <= ID_LENGTH_MAX
        && !text
            .chars()
            .any(|c| c == '/' || c.is_control() || c.is_whitespace());
    if good {
        Ok(())
    } else {
        Err(IdError::Name {
            text: text.chars().take(64).collect(),
        })
    }
}

/// How a kind of id is written when the cloud makes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// 36 characters with dashes (Nova, Glance, Neutron, Cinder).
    Hyphenated,
    /// 32 characters without dashes (Keystone).
    Simple,
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident = $written:ident;)+) => {
        $(
            $(#[$doc])*
            #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
            pub struct $name(Arc<str>);

            impl $name {
                /// How the cloud writes the ids of this kind that it makes.
                pub const WRITTEN: Written = Written::$written;

                /// A new id born at `site`.
                pub fn born_at(site: SitePrefix, entropy: &mut impl Entropy) -> Self {
                    let uuid = Uuid::born_at(site, entropy);
                    Self(match Self::WRITTEN {
                        Written::Hyphenated => uuid.hyphenated().into(),
                        Written::Simple => uuid.simple().into(),
                    })
                }

                /// Takes an id that somebody else chose.
                pub fn parse(text: &str) -> Result<Self, IdError> {
                    check_name(text).map(|()| Self(text.into()))
                }

                /// The id as it is written.
                pub fn as_str(&self) -> &str {
                    &self.0
                }

                /// The site that made this id, if it is one of ours.
                pub fn birth_site(&self) -> Option<SitePrefix> {
                    Uuid::parse(&self.0).ok().and_then(|uuid| uuid.birth_site())
                }
            }

            impl fmt::Display for $name {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    f.write_str(&self.0)
                }
            }

            impl fmt::Debug for $name {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    write!(f, concat!(stringify!($name), "({})"), self.0)
                }
            }

            impl FromStr for $name {
                type Err = IdError;

                fn from_str(text: &str) -> Result<Self, IdError> {
                    Self::parse(text)
                }
            }

            impl AsRef<str> for $name {
                fn as_ref(&self) -> &str {
                    &self.0
                }
            }

            impl Serialize for $name {
                fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                    s.serialize_str(&self.0)
                }
            }

            impl<'de> Deserialize<'de> for $name {
                fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                    let text = std::borrow::Cow::<'de, str>::deserialize(d)?;
                    Self::parse(&text).map_err(serde::de::Error::custom)
                }
            }
        )+
    };
}

ids! {
    /// A site: nodes a LAN apart, an availability zone to users.
    SiteId = Simple;
    /// A node: one server running `luc`.
    NodeId = Simple;
    /// An operation: what makes a retried write happen once.
    OpId = Hyphenated;
    /// A domain of the identity service; `default` is one.
    DomainId = Simple;
    /// A project (tenant).
    ProjectId = Simple;
    /// A user.
    UserId = Simple;
    /// A group of users.
    GroupId = Simple;
    /// A role.
    RoleId = Simple;
    /// A role assignment.
    AssignmentId = Simple;
    /// An application credential.
    AppCredId = Simple;
    /// An entry of the service catalog.
    ServiceId = Simple;
    /// An endpoint of the service catalog.
    EndpointId = Simple;
    /// A region of the service catalog; chosen by the client.
    RegionId = Simple;
    /// An image; clients may choose it.
    ImageId = Hyphenated;
    /// A flavor; clients may choose any name-like id.
    FlavorId = Hyphenated;
    /// A server (virtual machine).
    ServerId = Hyphenated;
    /// A server group.
    ServerGroupId = Hyphenated;
    /// A host aggregate.
    AggregateId = Hyphenated;
    /// A hypervisor, also the resource provider of its host.
    HypervisorId = Hyphenated;
    /// A compute service record.
    ComputeServiceId = Hyphenated;
}

#[cfg(test)]
mod tests;
