//! Good traces come back as they were; bad ones are refused with line and reason.

use super::Reader;
use crate::trace::{Generator, Trace};

fn small() -> Trace {
    Generator::vmplaces(vec![2, 1], 3, 7).generate().unwrap()
}

fn text(trace: &Trace) -> String {
    trace.lines().map(|line| line + "\n").collect()
}

/// The trace with one line changed, and what the reader says to it.
fn refusal(number: usize, change: impl Fn(&str) -> String) -> String {
    let text: String = text(&small())
        .lines()
        .enumerate()
        .map(|(at, line)| if at + 1 == number { change(line) } else { line.to_owned() } + "\n")
        .collect();
    Reader::read(&text).unwrap_err().to_string()
}

#[test]
fn a_written_trace_is_read_back_the_same() {
    let trace = small();
    assert!(trace.loads.len() > 20);
    assert_eq!(Reader::read(&text(&trace)).unwrap(), trace);
}

#[test]
fn an_unknown_field_is_refused_with_its_line() {
    let said = refusal(3, |line| line.replace("\"class\"", "\"klass\""));
    assert!(
        said.starts_with("line 3: not a line of a trace (unknown field `klass`"),
        "{said}"
    );
}

#[test]
fn a_value_of_the_wrong_unit_is_refused() {
    let said = refusal(12, |line| line.replace("\"cpu\":", "\"cpu\":0.5,\"x\":"));
    assert!(
        said.contains("invalid type: floating point `0.5`, expected u16"),
        "{said}"
    );
    let said = refusal(11, |_| r#"{"load":{"at_us":1,"vm":0,"cpu":9000}}"#.into());
    assert_eq!(said, "line 11: cpu is 9000, more than any host has (700)");
}

#[test]
fn numbers_that_the_header_does_not_know_are_refused() {
    let said = refusal(2, |line| line.replace("\"host\":0", "\"host\":3"));
    assert_eq!(said, "line 2: host is 3, but there are only 3");
    let said = refusal(12, |_| r#"{"load":{"at_us":1,"vm":9,"cpu":1}}"#.into());
    assert_eq!(said, "line 12: vm is 9, but there are only 9");
}

#[test]
fn an_impossible_cloud_is_refused() {
    let said = refusal(1, |line| line.replace("[2,1]", "[2,0]"));
    assert!(said.contains("each must have a node"), "{said}");
    let said = refusal(1, |line| line.replace("32768", "1500"));
    assert_eq!(
        said,
        "line 5: the machines at host 0 need 2048 MiB of memory, it has 1500"
    );
}

#[test]
fn time_that_goes_back_is_refused() {
    let said = refusal(13, |_| r#"{"load":{"at_us":0,"vm":0,"cpu":1}}"#.into());
    assert!(said.starts_with("line 13: at_us goes back from"), "{said}");
}

#[test]
fn a_trace_without_header_or_end_is_refused() {
    let said = refusal(1, |_| String::new());
    assert!(said.starts_with("line 2: a trace begins with"), "{said}");
    let cut: String = text(&small())
        .lines()
        .take(4)
        .map(|line| line.to_owned() + "\n")
        .collect();
    let said = Reader::read(&cut).unwrap_err().to_string();
    assert!(
        said.contains("before all 9 machines have their place (3 have)"),
        "{said}"
    );
}

#[test]
fn the_example_of_the_document_is_a_trace() {
    let document = include_str!("../../../../../docs/trace-format.md");
    let example = document.split("```json\n").nth(1).unwrap();
    let example = example.split("```").next().unwrap();
    let trace = Reader::read(example).unwrap();
    assert_eq!(
        (trace.nodes(), trace.placement.len(), trace.loads.len()),
        (2, 2, 2)
    );
}
