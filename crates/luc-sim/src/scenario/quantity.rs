//! Quantities as scenario files write them: a number, a space, a unit ("30 s", "32 GiB").
//!
//! A bare number is refused, because `30` says neither seconds nor milliseconds. What is written
//! back ([`Serialize`]) reads as what was read. Used by the types of this scenario only; the pure
//! code below knows [`Duration`], [`Cpu`] and friends and no text.

use std::fmt;

use luc_core::time::Duration;
use luc_core::units::MemoryMib;
use luc_dvms::Cpu;
use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize, Serializer};

/// One kind of quantity: its units, each with what one of it is in the base unit.
struct Kind {
    /// What the quantity is, for messages.
    name: &'static str,
    /// A right example, for messages.
    example: &'static str,
    /// Units and their size in the base unit, greatest first.
    units: &'static [(&'static str, f64)],
}

/// Base unit: nanoseconds.
const DURATION: Kind = Kind {
    name: "a duration",
    example: "30 s",
    units: &[
        ("d", 86_400e9),
        ("h", 3_600e9),
        ("min", 60e9),
        ("s", 1e9),
        ("ms", 1e6),
        ("us", 1e3),
        ("µs", 1e3),
        ("ns", 1.0),
    ],
};

/// Base unit: mebibytes.
const MEMORY: Kind = Kind {
    name: "an amount of memory",
    example: "32 GiB",
    units: &[
        ("TiB", 1_048_576.0),
        ("GiB", 1024.0),
        ("MiB", 1.0),
        ("B", 1.0 / 1_048_576.0),
    ],
};

/// Base unit: megabits per second.
const BANDWIDTH: Kind = Kind {
    name: "a bandwidth",
    example: "1 Gbps",
    units: &[("Gbps", 1000.0), ("Mbps", 1.0)],
};

/// Base unit: hundredths of a core.
const CPU: Kind = Kind {
    name: "processor time",
    example: "7 cores",
    units: &[("cores", 100.0), ("core", 100.0), ("%", 1.0)],
};

/// Base unit: per cent.
const PERCENT: Kind = Kind {
    name: "a share",
    example: "60 %",
    units: &[("%", 1.0)],
};

/// Base unit: watts.
const POWER: Kind = Kind {
    name: "a power",
    example: "240 W",
    units: &[("kW", 1000.0), ("W", 1.0)],
};

impl Kind {
    /// `text` in the base unit.
    fn read(&self, text: &str) -> Result<f64, String> {
        let at = text
            .find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | '-' | '+' | '_')))
            .unwrap_or(text.len());
        let (number, unit) = text.split_at(at);
        let unit = unit.trim();
        let Ok(number) = number.replace('_', "").parse::<f64>() else {
            return Err(self.refuse(text, "it does not start with a number"));
        };
        let Some((_, size)) = self.units.iter().find(|(name, _)| *name == unit) else {
            let why = if unit.is_empty() {
                "it has no unit".to_owned()
            } else {
                format!("`{unit}` is not one of its units")
            };
            return Err(self.refuse(text, &why));
        };
        if number < 0.0 {
            return Err(self.refuse(text, "it is negative"));
        }
        Ok(number * size)
    }

    fn refuse(&self, text: &str, why: &str) -> String {
        let units: Vec<_> = self.units.iter().map(|(name, _)| *name).collect();
        format!(
            "`{text}` is not {}: {why} (write it like \"{}\"; units: {})",
            self.name,
            self.example,
            units.join(", ")
        )
    }

    /// `amount` of the base unit in the greatest unit that leaves no needless digits.
    fn write(&self, amount: f64) -> String {
        if amount == 0.0 {
            let unit = self.example.split(' ').nth(1).unwrap_or_default();
            return format!("0 {unit}");
        }
        let fits = |size: f64| amount >= size && (amount / size * 1000.0).fract() == 0.0;
        let found = self.units.iter().find(|(_, size)| fits(*size));
        let base = self
            .units
            .iter()
            .find(|(_, size)| (*size - 1.0).abs() < f64::EPSILON);
        let (unit, size) = found.or(base).copied().unwrap_or(("", 1.0));
        format!("{} {unit}", amount / size)
    }
}

/// Takes a string of one kind; everything else is told what to write.
struct Reader<'k>(&'k Kind);

impl Visitor<'_> for Reader<'_> {
    type Value = f64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} with its unit, like \"{}\"",
            self.0.name, self.0.example
        )
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<f64, E> {
        self.0.read(text).map_err(E::custom)
    }
}

macro_rules! as_text {
    ($(#[$doc:meta])* $module:ident, $type:ty, $kind:ident, $from:expr, $into:expr) => {
        $(#[$doc])*
        pub(crate) mod $module {
            use super::*;

            pub(crate) fn serialize<S: Serializer>(
                value: &$type,
                serializer: S,
            ) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&$kind.write($into(value)))
            }

            pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
                deserializer: D,
            ) -> Result<$type, D::Error> {
                deserializer.deserialize_str(Reader(&$kind)).map($from)
            }
        }
    };
}

as_text!(
    /// A [`Duration`] as text.
    duration, Duration, DURATION,
    |nanos: f64| Duration::from_nanos(nanos.round() as u64),
    |value: &Duration| value.as_nanos() as f64
);
as_text!(
    /// A [`MemoryMib`] as text.
    memory, MemoryMib, MEMORY,
    |mib: f64| MemoryMib(mib.ceil() as u64),
    |value: &MemoryMib| value.0 as f64
);
as_text!(
    /// A [`Cpu`] as text.
    cpu, Cpu, CPU,
    |hundredths: f64| Cpu(hundredths.round() as u32),
    |value: &Cpu| f64::from(value.0)
);

macro_rules! quantity {
    ($(#[$doc:meta])* $name:ident, $kind:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd)]
        pub struct $name(pub f64);

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&$kind.write(self.0))
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_str(Reader(&$kind)).map(Self)
            }
        }
    };
}

quantity!(
    /// A share in per cent: 60 is "60 %".
    Percent,
    PERCENT
);
quantity!(
    /// A bandwidth in megabits per second: 1000 is "1 Gbps".
    Mbps,
    BANDWIDTH
);
quantity!(
    /// A power in watts.
    Watts,
    POWER
);

impl Percent {
    /// The share as a fraction: 0.6 for "60 %".
    pub fn fraction(self) -> f64 {
        self.0 / 100.0
    }
}

/// A round trip, where a list of them is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Rtt(#[serde(with = "duration")] pub Duration);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_read() {
        assert_eq!(DURATION.read("16.55 ms"), Ok(16.55e6));
        assert_eq!(DURATION.read("24h"), Ok(86_400e9));
        assert_eq!(MEMORY.read("32 GiB"), Ok(32_768.0));
        assert_eq!(BANDWIDTH.read("1 Gbps"), Ok(1000.0));
        assert_eq!(CPU.read("7 cores"), Ok(700.0));
    }

    #[test]
    fn what_is_not_a_quantity_is_told_how_to_write_one() {
        let bare = DURATION.read("30").unwrap_err();
        assert!(
            bare.contains("no unit") && bare.contains("\"30 s\""),
            "{bare}"
        );
        let wrong = DURATION.read("30 GiB").unwrap_err();
        assert!(wrong.contains("`GiB` is not one of its units"), "{wrong}");
        assert!(MEMORY.read("-1 GiB").unwrap_err().contains("negative"));
        assert!(MEMORY.read("lots").unwrap_err().contains("number"));
        assert!(DURATION.read("").unwrap_err().contains("number"));
    }

    #[test]
    fn what_is_written_is_read_back() {
        for text in ["90 s", "16.55 ms", "24 h", "300 s", "1 ns", "0 s"] {
            let nanos = DURATION.read(text).expect("it is right");
            assert_eq!(DURATION.read(&DURATION.write(nanos)), Ok(nanos), "{text}");
        }
        assert_eq!(DURATION.write(16.55e6), "16.55 ms");
        assert_eq!(MEMORY.write(32_768.0), "32 GiB");
        assert_eq!(PERCENT.write(0.0), "0 %");
    }
}
