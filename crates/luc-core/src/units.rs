//! Quantities with their unit in the type, so that bare integers do not cross a function boundary.

use std::fmt;
use std::iter::Sum;

use serde::{Deserialize, Serialize};

macro_rules! unit {
    ($(#[$doc:meta])* $name:ident, $suffix:literal) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize,
            Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(pub u64);

        impl $name {
            /// Nothing of it.
            pub const ZERO: Self = Self(0);

            /// The bare number, for wire formats.
            pub const fn get(self) -> u64 {
                self.0
            }

            /// The sum, or the greatest value if it does not fit.
            #[must_use]
            pub const fn plus(self, other: Self) -> Self {
                Self(self.0.saturating_add(other.0))
            }

            /// The difference, or zero if `other` is greater.
            #[must_use]
            pub const fn minus(self, other: Self) -> Self {
                Self(self.0.saturating_sub(other.0))
            }

            /// This quantity times `factor`, rounded down: capacity under an overcommit ratio.
            #[must_use]
            pub fn scaled(self, factor: f64) -> Self {
                Self((self.0 as f64 * factor.max(0.0)).floor() as u64)
            }
        }

        impl Sum for $name {
            fn sum<I: Iterator<Item = Self>>(quantities: I) -> Self {
                quantities.fold(Self::ZERO, Self::plus)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!("{} ", $suffix), self.0)
            }
        }
    };
}

unit!(
    /// Memory in mebibytes, the unit of Nova's `ram` and `memory_mb`.
    MemoryMib, "MiB"
);
unit!(
    /// Disk in gibibytes, the unit of Nova's `disk` and `local_gb`.
    DiskGib, "GiB"
);
unit!(
    /// Virtual processors.
    Vcpus, "vCPU"
);
unit!(
    /// Bytes.
    Bytes, "B"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subtraction_stops_at_zero() {
        assert_eq!(MemoryMib(3).minus(MemoryMib(5)), MemoryMib::ZERO);
    }

    #[test]
    fn an_overcommit_ratio_scales_capacity_down_to_whole_units() {
        assert_eq!(Vcpus(3).scaled(1.5), Vcpus(4));
        assert_eq!(Vcpus(3).scaled(-1.0), Vcpus::ZERO);
    }

    #[test]
    fn a_quantity_is_shown_with_its_unit() {
        assert_eq!(DiskGib(20).to_string(), "20 GiB");
    }
}
