//! Tables for people.

use crate::Bench;
use crate::idle::Memory;
use crate::measure::{Figures, Spread, TASKS, Window};

/// Prints what is measured, when devices register over connections of their own, and what is fixed.
///
/// * `body`: of every answer, in bytes.
pub fn registrations(bench: &Bench, body: usize, text: &str, fixed: &str) {
    let pinning = bench.pinning();
    title(
        text,
        &format!("{fixed}\nBody of {body} bytes; {TASKS} at once; {pinning}."),
    );
}

/// Prints a title, and below it what was held fixed.
pub fn title(text: &str, fixed: &str) {
    println!("\n{text}\n{}", "=".repeat(text.chars().count()));
    println!("{fixed}\n");
}

/// Prints what each server spent for a unit, and its rate beside that of the first.
pub fn costs(unit: &str, all: &[Figures]) {
    let Some(base) = all.first() else { return };
    let cpu = format!("CPU µs/{unit}");
    let head = [
        "server",
        &cpu,
        "min-max",
        "/s per core",
        "beside first",
        "seen/s",
        "busy",
        "waited",
    ]
    .map(str::to_owned);
    let rows = all.iter().map(|one| {
        let cpu = one.cpu_micros();
        let middle = |of: fn(&Window) -> f64| Spread::of(one.windows.iter().map(of)).median;
        [
            one.label.clone(),
            micros(cpu.median),
            format!("{}-{}", micros(cpu.least), micros(cpu.greatest)),
            thousands(one.per_core()),
            format!("{:.2}x", one.rate_beside(base).median),
            thousands(middle(|window| window.rate)),
            format!("{:.0} %", middle(|window| window.busy) * 100.0),
            format!("{:.0} %", middle(|window| window.waited) * 100.0),
        ]
    });
    grid(&head, rows);
    for one in all.iter().filter(|one| one.failed > 0) {
        println!("{}: {} failed", one.label, one.failed);
    }
    println!(
        "CPU: of the server alone, median of the windows. Busy: the server was on its CPU; waited: the\n\
         CPU was another program's. Seen/s is what this client drew from it, and no measure of it.\n"
    );
}

/// Prints one ratio with what is asked of it.
///
/// * `least`: what the project promises, as a part (0.8) or a multiple (3.0).
pub fn verdict(ours: &Figures, other: &Figures, least: f64) {
    let ratio = ours.rate_beside(other);
    let word = if ratio.median >= least {
        "holds"
    } else {
        "MISSED"
    };
    println!(
        "{} does {:.2} [{:.2}-{:.2}] times the rate of {}; at least {least:.2}: {word}",
        ours.label, ratio.median, ratio.least, ratio.greatest, other.label
    );
}

/// Prints how many times the CPU time of another something takes, with what is asked of it.
///
/// * `most`: what the project promises.
pub fn multiple(ours: &Figures, other: &Figures, most: f64) {
    let ratio = other.rate_beside(ours);
    let word = if ratio.median <= most {
        "holds"
    } else {
        "MISSED"
    };
    println!(
        "{} takes {:.2} [{:.2}-{:.2}] times what {} takes; at most {most:.2}: {word}",
        ours.label, ratio.median, ratio.least, ratio.greatest, other.label
    );
}

/// Prints the rate of one core with what is asked of it.
///
/// * `least`: what the project promises, in units a second.
pub fn rate(ours: &Figures, unit: &str, least: f64) {
    let rate = ours.per_core();
    let word = if rate >= least { "holds" } else { "MISSED" };
    let (rate, least) = (thousands(rate), thousands(least));
    println!(
        "{}: {rate} {unit} a second and core; at least {least}: {word}",
        ours.label
    );
}

/// Prints the memory that each held connection takes.
pub fn memory(all: &[Memory]) {
    let head = [
        "server",
        "kB/connection",
        "step by step",
        "before, MB",
        "held",
    ]
    .map(str::to_owned);
    let rows = all.iter().map(|one| {
        let steps: Vec<_> = one
            .bytes_each_step()
            .iter()
            .map(|bytes| format!("{:.1}", bytes / 1000.0))
            .collect();
        [
            one.label.clone(),
            format!("{:.1}", one.bytes_each() / 1000.0),
            steps.join(" "),
            format!(
                "{:.1}",
                f64::from(u32::try_from(one.before / 1000).unwrap_or(u32::MAX)) / 1000.0
            ),
            one.steps.last().map_or(0, |step| step.0).to_string(),
        ]
    });
    grid(&head, rows);
}

/// Prints the memory of one connection with what is asked of it.
///
/// * `most`: what the project promises, in bytes.
pub fn bytes(ours: &Memory, most: f64) {
    let each = ours.bytes_each();
    let word = if each <= most { "holds" } else { "MISSED" };
    println!(
        "{} holds {:.1} kB; at most {:.1}: {word}",
        ours.label,
        each / 1000.0,
        most / 1000.0
    );
}

/// Prints the memory of one connection beyond that of another server's, with what is asked of it.
///
/// * `most`: what the project promises, in bytes.
pub fn bytes_beyond(ours: &Memory, other: &Memory, most: f64) {
    let beyond = ours.bytes_each() - other.bytes_each();
    let word = if beyond <= most { "holds" } else { "MISSED" };
    println!(
        "{} holds {:.1} kB more than {}; at most {:.1}: {word}",
        ours.label,
        beyond / 1000.0,
        other.label,
        most / 1000.0
    );
}

fn micros(value: f64) -> String {
    if value < 1.0 {
        format!("{value:.3}")
    } else if value < 100.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.0}")
    }
}

fn thousands(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

/// Prints rows in columns: the first flush left, the others flush right.
fn grid<const N: usize>(head: &[String; N], rows: impl Iterator<Item = [String; N]>) {
    let rows: Vec<_> = rows.collect();
    let width = |column: usize| {
        let cells = rows.iter().map(|row| &row[column]).chain([&head[column]]);
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: [usize; N] = std::array::from_fn(width);
    let print = |row: &[String; N]| {
        let mut line = String::new();
        for (column, (cell, width)) in row.iter().zip(widths).enumerate() {
            if column == 0 {
                line.push_str(&format!("{cell:<width$}"));
            } else {
                line.push_str(&format!("  {cell:>width$}"));
            }
        }
        println!("{line}");
    };
    print(head);
    println!("{}", "-".repeat(widths.iter().sum::<usize>() + 2 * (N - 1)));
    rows.iter().for_each(print);
    println!();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_thousands() {
        assert_eq!(thousands(1_234_567.0), "1 234 567");
        assert_eq!(thousands(12.0), "12");
    }
}
