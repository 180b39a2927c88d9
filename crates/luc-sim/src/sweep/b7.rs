//! B7: energy over a day whose afternoon overfills the cloud.

use luc_core::time::Duration;

use crate::scenario::{
    Algorithm, Central, Distances, Experiment, Load, Membership, Overlay, Percent, Phase, Star,
    Topology, Trigger, Uniform,
};

use super::job::{Job, Role};
use super::judge::{Rule, Side, Target};
use super::rows::Row;
use super::{Benchmark, Plot, Published, Scale, Table, measure};

const DAY: &str = "24 h";
const ALWAYS_ON: &str = "always on";
const OURS: &str = "star, spiral, energy on (ours)";

fn experiment(scale: Scale) -> Experiment {
    let phase = |hour: u64, mean, deviation| Phase {
        from: Duration::from_secs(hour * 3600),
        mean: Percent(mean),
        deviation: Percent(deviation),
    };
    let mut experiment = Experiment {
        duration: Duration::from_secs(24 * 3600),
        // That a node sleeps is told by the membership; an oracle would not know.
        membership: Membership::Swim,
        topology: Topology {
            sites: 1,
            nodes_per_site: 64,
            rtt: Distances::Uniform(Uniform::default()),
            ..Topology::default()
        },
        load: Load {
            phases: vec![
                phase(0, 20.0, 10.0),
                phase(7, 40.0, 30.0),
                phase(14, 80.0, 20.0),
                phase(19, 20.0, 10.0),
            ],
            ..Load::default()
        },
        ..Experiment::default()
    };
    if scale.quick {
        experiment.duration = Duration::from_secs(1800);
        experiment.topology.nodes_per_site = 8;
        experiment.load.phases.truncate(1);
    }
    experiment
}

fn rows() -> Vec<Row> {
    let row = |name: &str, role, algorithm, overlay| Row {
        name: name.to_owned(),
        role,
        algorithm,
        overlay,
    };
    let central = |trigger| Central {
        trigger,
        energy: true,
        ..Central::default()
    };
    let base = Role::Baseline;
    vec![
        row(
            OURS,
            Role::Ours,
            Algorithm::Star(Star {
                energy: true,
                ..Star::default()
            }),
            Overlay::Spiral,
        ),
        row(ALWAYS_ON, base, Algorithm::None, Overlay::Random),
        row(
            "FFD, 30 s",
            base,
            Algorithm::Ffd(central(Trigger::Periodic)),
            Overlay::Random,
        ),
        row(
            "Entropy-like, 30 s",
            base,
            Algorithm::Entropy(central(Trigger::Periodic)),
            Overlay::Random,
        ),
        row(
            "centralised, reactive, energy on",
            base,
            Algorithm::Centralised(central(Trigger::Reactive)),
            Overlay::Random,
        ),
    ]
}

pub(super) fn benchmark(scale: Scale) -> Benchmark {
    let rows = rows();
    let experiment = experiment(scale);
    let jobs = rows
        .iter()
        .map(|row| {
            let experiment = row.applied(&experiment, "B7");
            Job::run(&row.name, DAY, row.role, experiment, scale.seeds)
        })
        .collect();
    let names: Vec<String> = rows.iter().map(|row| row.name.clone()).collect();
    let curve = |title: &str, curve| Plot::Curve {
        title: title.to_owned(),
        across: "hour of the day".to_owned(),
        curve,
        rows: names.clone(),
        column: DAY.to_owned(),
    };
    Benchmark {
        id: "B7",
        title: "energy over a day",
        protocol: protocol(),
        jobs,
        tables: tables(&names),
        plots: vec![
            curve("power of the cloud, kW", measure::CURVE_POWER),
            curve(
                "violation, % of powered host-time",
                measure::CURVE_VIOLATION,
            ),
        ],
        targets: targets(),
    }
}

fn protocol() -> Vec<String> {
    [
        "64 nodes of 32 GB and 7 usable cores, 640 VMs of 1 GB, 24 h; 90 W idle, 240 W full, 10 W \
         off, waking takes 60 s at idle power; N(20, 10) 0–7 h, N(40, 30) 7–14 h, N(80, 20) \
         14–19 h (demand exceeds the cloud), N(20, 10) 19–24 h; one change per VM per 300 s. Full \
         brain (SWIM and Vivaldi). Migration energy is counted: 18.75 W (one core of the range) at \
         either end while it lasts.",
        "Violation outside 14–19 h is Σ violation over Σ powered host-time of those hours.",
        "Published (I17): FFD saves more than 40 kWh, 4 × Entropy, with 4731 against 466 \
         migrations. DVMS was never measured for energy.",
    ]
    .map(str::to_owned)
    .to_vec()
}

fn tables(rows: &[String]) -> Vec<Table> {
    let table = |title: &str, measure, factor, digits, published| Table {
        title: title.to_owned(),
        measure,
        factor,
        digits,
        columns: vec![DAY.to_owned()],
        rows: rows.to_vec(),
        published,
        ratios: vec![(OURS.to_owned(), ALWAYS_ON.to_owned())],
    };
    let published = |label, value| Published {
        label,
        source: "I17",
        values: vec![Some(value)],
    };
    vec![
        table("energy, kWh", measure::ENERGY, 1.0, 1, Vec::new()),
        table(
            "migrations",
            measure::MIGRATIONS,
            1.0,
            0,
            vec![published("FFD", 4731.0), published("Entropy", 466.0)],
        ),
        table(
            "violation outside 14–19 h, % of powered host-hours",
            measure::VIOLATION_SHARE,
            100.0,
            3,
            Vec::new(),
        ),
        table(
            "Σ violation, s",
            measure::VIOLATION_TOTAL,
            1.0,
            0,
            Vec::new(),
        ),
        table(
            "mean violation, s",
            measure::VIOLATION_MEAN,
            1.0,
            2,
            Vec::new(),
        ),
    ]
}

fn targets() -> Vec<Target> {
    let row = OURS.to_owned();
    let columns = vec![DAY.to_owned()];
    let bound = |text: &str, measure, limit| Target {
        text: text.to_owned(),
        rule: Rule::Bound {
            row: row.clone(),
            columns: columns.clone(),
            measure,
            side: Side::AtMost,
            limit,
        },
    };
    vec![
        Target {
            text: "saves ≥ 40 kWh against always-on".to_owned(),
            rule: Rule::Saves {
                row: row.clone(),
                from: ALWAYS_ON.to_owned(),
                columns: columns.clone(),
                measure: measure::ENERGY,
                limit: 40.0,
            },
        },
        bound("≤ 2 000 migrations", measure::MIGRATIONS, 2000.0),
        bound(
            "violation ≤ 0.2 % of powered host-hours outside 14–19 h",
            measure::VIOLATION_SHARE,
            0.002,
        ),
    ]
}
