//! What the doctor says, to people and to programs.

use chancery_doctor::{Check, Finding, Outcome, Report};
use serde_json::{Value, json};

use crate::terminal::{Style, Terminal, printable};

/// How wide the names of checks are printed.
const NAMES: usize = 18;

/// Says what was seen.
///
/// # Errors
/// When nobody reads any more.
pub(super) fn show(
    report: &Report,
    guards: &[[String; 3]],
    as_json: bool,
    terminal: Terminal,
) -> anyhow::Result<()> {
    if as_json {
        return Ok(terminal.line(in_json(report, guards))?);
    }
    for check in &report.checks {
        show_check(check, terminal)?;
    }
    show_guards(guards, terminal)?;
    terminal.gap()?;
    let findings = report.findings().filter(|finding| finding.counts()).count();
    let advice = report.findings().count() - findings;
    let text = format!("{}, {advice} advice", counted(findings, "finding"));
    let style = if report.is_clean() { Style::Good } else { Style::Bad };
    Ok(terminal.line(terminal.paint(style, text))?)
}

fn counted(count: usize, what: &str) -> String {
    match count {
        0 => format!("no {what}s"),
        1 => format!("1 {what}"),
        _ => format!("{count} {what}s"),
    }
}

fn show_check(check: &Check, terminal: Terminal) -> anyhow::Result<()> {
    let (style, mark) = match check.outcome() {
        Outcome::Held => (Style::Good, "✓"),
        Outcome::Advice => (Style::Dim, "·"),
        Outcome::Finding => (Style::Bad, "✗"),
    };
    terminal.line(format_args!(
        "{} {:<NAMES$}  {}",
        terminal.paint(style, mark),
        check.name,
        printable(&check.seen)
    ))?;
    for finding in &check.findings {
        show_finding(finding, terminal)?;
    }
    Ok(())
}

fn show_finding(finding: &Finding, terminal: Terminal) -> anyhow::Result<()> {
    let (style, word) = if finding.counts() { (Style::Bad, "") } else { (Style::Dim, " (advice)") };
    let code = terminal.paint(style, format_args!("{}{word}", finding.code));
    // Names and expressions are the database's, and whoever made it may have put anything there.
    terminal
        .line(format_args!("    {code}  {}", terminal.paint(Style::Bold, printable(&finding.subject))))?;
    terminal.line(format_args!("        {}", printable(&finding.meaning)))?;
    let fix = terminal.paint(Style::Command, printable(&finding.fix));
    Ok(terminal.line(format_args!("        fix: {fix}"))?)
}

/// Who may call what.
fn show_guards(guards: &[[String; 3]], terminal: Terminal) -> anyhow::Result<()> {
    let widest = |column: usize| {
        let texts = guards.iter().filter_map(|guard| guard.get(column));
        texts.map(|text| text.chars().count()).max().unwrap_or(0)
    };
    let (methods, paths) = (widest(0), widest(1));
    for [method, path, guard] in guards {
        terminal.line(format_args!("    {method:<methods$}  {path:<paths$}  {guard}"))?;
    }
    Ok(())
}

fn in_json(report: &Report, guards: &[[String; 3]]) -> Value {
    let checks: Vec<Value> = report
        .checks
        .iter()
        .map(|check| {
            json!({ "name": check.name, "outcome": check.outcome(), "seen": check.seen,
                    "findings": check.findings })
        })
        .collect();
    let findings: Vec<&Finding> = report.findings().collect();
    let guards: Vec<Value> = guards
        .iter()
        .map(|[method, path, guard]| json!({ "method": method, "path": path, "guard": guard }))
        .collect();
    json!({ "checks": checks, "findings": findings, "routes": guards, "clean": report.is_clean() })
}
