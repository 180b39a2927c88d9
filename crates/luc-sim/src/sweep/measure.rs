//! The names of the numbers that a run gives, as records and tables know them.

/// Mean duration of a violation, in seconds.
pub const VIOLATION_MEAN: &str = "violation_mean_s";
/// How many violations there were.
pub const VIOLATIONS: &str = "violations";
/// Σ of all violations, in seconds.
pub const VIOLATION_TOTAL: &str = "violation_total_s";
/// Mean time of the solver for one event, in simulated seconds (steps × constant).
pub const COMPUTATION_MEAN: &str = "computation_mean_s";
/// Mean time from the first to the last migration of a plan, in seconds.
pub const RECONFIGURATION_MEAN: &str = "reconfiguration_mean_s";
/// Migrations that ended at their target.
pub const MIGRATIONS: &str = "migrations";
/// Migrations for each violation.
pub const MIGRATIONS_PER_VIOLATION: &str = "migrations_per_violation";
/// What migrations sent, in gibibytes.
pub const MIGRATED_GIB: &str = "migrated_gib";
/// Share of migrations that stayed in their site.
pub const INTRA_SITE: &str = "intra_site_ratio";
/// Mean number of sites in a partition.
pub const SITES_PER_PARTITION: &str = "sites_per_partition_mean";
/// Mean time from an event to a valid configuration for it, in seconds.
pub const VALID_MEAN: &str = "valid_configuration_mean_s";
/// Events that ended without a solution.
pub const UNSOLVED: &str = "unsolved";
/// Of machines that left their site: the share that went to the nearest site with room.
pub const NEAREST_SITE: &str = "nearest_site_share";
/// Energy of all nodes, migrations included, in kilowatt-hours.
pub const ENERGY: &str = "energy_kwh";
/// Violation outside the hours that overfill the cloud, as a share of powered host-hours.
pub const VIOLATION_SHARE: &str = "violation_share_outside";
/// Median size of a partition.
pub const PARTITION_P50: &str = "partition_size_p50";
/// Size of a partition that 99 of 100 do not exceed.
pub const PARTITION_P99: &str = "partition_size_p99";
/// Messages sent by a node in a second.
pub const MESSAGES: &str = "messages_per_node_s";
/// Wall-clock time of the run, in seconds; measured, not simulated.
pub const WALL: &str = "wall_s";
/// Greatest memory of the process up to the end of the run, in gibibytes; measured.
pub const MEMORY: &str = "memory_peak_gib";
/// Median relative error of predicted round trips.
pub const COORDINATE_ERROR: &str = "coordinate_error_median";
/// The same for the algorithm of Dabek et al. (two dimensions and height).
pub const COORDINATE_ERROR_DABEK: &str = "coordinate_error_dabek";
/// Probes a node needs until its coordinate is usable.
pub const COORDINATE_PROBES: &str = "coordinate_probes_to_usable";
/// Probes a node needs until its error is back to normal after a latency step.
pub const COORDINATE_RECOVERY: &str = "coordinate_probes_to_recover";
/// Share of the 16 true nearest among the first 16 that the spiral yields.
pub const RECALL: &str = "recall_at_16";
/// Messages for each node that the spiral yields.
pub const SEARCH_MESSAGES: &str = "messages_per_yielded";
/// The same share before any node has searched.
pub const RECALL_COLD: &str = "recall_at_16_cold";
/// Messages for each node that the spiral yields, before any node has searched.
pub const SEARCH_MESSAGES_COLD: &str = "messages_per_yielded_cold";
/// Seeds that kept every invariant.
pub const CHECK_PASSED: &str = "check_passed";
/// Seeds that broke one.
pub const CHECK_FAILED: &str = "check_failed";

/// How many seeds it took until a checker noticed that a rule is off.
pub const CHECK_CAUGHT: &str = "check_caught_after_seeds";

/// Energy over the day: hour, kilowatts.
pub const CURVE_POWER: &str = "power_kw_by_hour";
/// Violation over the day: hour, per cent of powered host-time.
pub const CURVE_VIOLATION: &str = "violation_percent_by_hour";
/// Sizes of partitions: nodes, share of partitions in per cent.
pub const CURVE_PARTITIONS: &str = "partition_sizes";

/// What random faults must hit at least 100 times: measure and words.
pub const CHECK_HITS: [(&str, &str); 4] = [
    ("check_hits: absorb or merge", "absorb or merge"),
    ("check_hits: takeover", "takeover"),
    ("check_hits: cap reached", "cap reached"),
    (
        "check_hits: lease expired in flight",
        "lease expired in flight",
    ),
];
/// What random faults also met, for which no number is required: measure and words.
pub const CHECK_ALSO: [(&str, &str); 4] = [
    ("check_sleeps", "hosts that went to sleep"),
    ("check_wakes", "hosts that were woken"),
    (
        "check_published_began",
        "partitions of the published protocol",
    ),
    ("check_published_merged", "merges of the published protocol"),
];
/// How the names of all of [`CHECK_HITS`] begin.
pub const CHECK_HITS_PREFIX: &str = "check_hits: ";
/// How the names of pairs of state and message begin, which must be hit as often.
pub const CHECK_PAIRS_PREFIX: &str = "check_pairs: ";
