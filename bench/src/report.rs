//! The result of a run: figures, as JSON and as tables in Markdown.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::route::{Route, Server};

/// Figures of one server and route.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// Requests per second.
    pub requests_per_second: f64,
    /// Median of the time to the answer, in microseconds.
    pub p50: f64,
    /// The time that 99 percent of the answers do not exceed, in microseconds.
    pub p99: f64,
    /// CPU time of the server's process per request, in microseconds.
    pub cpu: f64,
    /// CPU time of PostgreSQL's processes per request, in microseconds; absent if they are not on this machine.
    pub database_cpu: Option<f64>,
    /// Context switches of the server's process per request.
    pub context_switches: f64,
}

impl Figures {
    /// Each figure's median among several rounds.
    #[must_use]
    pub fn median(rounds: &[Self]) -> Self {
        let of = |figure: fn(&Self) -> f64| median(rounds.iter().map(figure).collect());
        let database: Option<Vec<f64>> = rounds.iter().map(|round| round.database_cpu).collect();
        Self {
            requests_per_second: of(|round| round.requests_per_second),
            p50: of(|round| round.p50),
            p99: of(|round| round.p99),
            cpu: of(|round| round.cpu),
            database_cpu: database.map(median),
            context_switches: of(|round| round.context_switches),
        }
    }

    fn all(&self) -> [Option<f64>; 6] {
        let Self { requests_per_second, p50, p99, cpu, database_cpu, context_switches } = *self;
        [Some(requests_per_second), Some(p50), Some(p99), Some(cpu), database_cpu, Some(context_switches)]
    }
}

/// The value in the middle; of an even number, the greater of the two. 0 of none.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// Result of one server and route.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// The route.
    pub route: Route,
    /// The server.
    pub server: Server,
    /// Medians of the rounds.
    pub figures: Figures,
}

/// Figures of one server as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Process {
    /// The server.
    pub server: Server,
    /// Time from its start to the first answer with status 200 that needs the database, in milliseconds.
    pub start: f64,
    /// Resident memory before the first measurement, in MiB.
    pub idle: f64,
    /// Resident memory of an idle connection, in KiB.
    pub connection: f64,
    /// Resident memory after the logins, in MiB; absent if none were measured.
    pub after_logins: Option<f64>,
}

impl Process {
    fn all(&self) -> [Option<f64>; 4] {
        [Some(self.start), Some(self.idle), Some(self.connection), self.after_logins]
    }
}

/// Result of a run. Its JSON is what a later run is compared with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Number of users in the database.
    pub users: usize,
    /// Number of connections.
    pub connections: usize,
    /// Threads that answer requests, of each server.
    pub workers: usize,
    /// Duration of a measurement in seconds.
    pub seconds: f64,
    /// Number of measurements of each server and route.
    pub rounds: usize,
    /// Whether the database is SQLite.
    pub sqlite: bool,
    /// Figures of the servers.
    pub processes: Vec<Process>,
    /// Figures of the routes.
    pub routes: Vec<Measured>,
}

impl Report {
    fn figures(&self, route: Route, server: Server) -> Option<&Figures> {
        let found = self.routes.iter().find(|row| row.route == route && row.server == server);
        found.map(|row| &row.figures)
    }

    fn process(&self, server: Server) -> Option<&Process> {
        self.processes.iter().find(|process| process.server == server)
    }

    /// The change of each figure since `earlier`.
    #[must_use]
    pub fn compared_with<'a>(&'a self, earlier: &'a Self) -> Comparison<'a> {
        Comparison { now: self, earlier }
    }

    fn settings(&self) -> String {
        let Self { users, connections, workers, seconds, rounds, sqlite, .. } = self;
        let engine = if *sqlite { "SQLite" } else { "PostgreSQL" };
        format!(
            "{engine}, {users} users, {connections} connections, {workers} workers, {rounds} rounds of {seconds} s"
        )
    }

    /// A figure of each server that was measured, as `1 / 2 / 3`.
    fn each(&self, route: Route, figure: impl Fn(&Figures) -> Option<f64>) -> String {
        let found = Server::ALL.map(|server| self.figures(route, server).and_then(&figure));
        found.map(|value| value.map_or_else(|| "-".to_owned(), shown)).join(" / ")
    }
}

impl fmt::Display for Report {
    /// The tables, in Markdown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [limit, plain, product] = Server::ALL.map(Server::name);
        writeln!(f, "{}. Three figures in a column: {limit} / {plain} / {product}.\n", self.settings())?;
        writeln!(
            f,
            "| route | {limit} req/s | {plain}/{limit} | {product}/{limit} | {product}/{plain} | CPU µs | CPU µs of PostgreSQL | context switches | p50 µs | p99 µs |"
        )?;
        writeln!(f, "|---|---|---|---|---|---|---|---|---|---|")?;
        for &route in Route::ALL {
            let rates = Server::ALL.map(|server| self.figures(route, server).map(|f| f.requests_per_second));
            if rates.iter().all(Option::is_none) {
                continue;
            }
            let [limit, plain, product] = rates;
            let columns = [
                limit.map_or_else(|| "-".to_owned(), shown),
                ratio(plain, limit),
                ratio(product, limit),
                ratio(product, plain),
                self.each(route, |figures| Some(figures.cpu)),
                self.each(route, |figures| figures.database_cpu),
                self.each(route, |figures| Some(figures.context_switches)),
                self.each(route, |figures| Some(figures.p50)),
                self.each(route, |figures| Some(figures.p99)),
            ];
            writeln!(f, "| {route} | {} |", columns.join(" | "))?;
        }
        writeln!(
            f,
            "\n| server | start ms | idle MiB | connection KiB | after logins MiB |\n|---|---|---|---|---|"
        )?;
        for process in &self.processes {
            let figures = process.all().map(|value| value.map_or_else(|| "-".to_owned(), shown));
            writeln!(f, "| {} | {} |", process.server, figures.join(" | "))?;
        }
        Ok(())
    }
}

/// The changes between two results.
#[derive(Clone, Copy, Debug)]
pub struct Comparison<'a> {
    now: &'a Report,
    earlier: &'a Report,
}

impl fmt::Display for Comparison<'_> {
    /// The tables, in Markdown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { now, earlier } = self;
        writeln!(f, "Change since the earlier result:\n")?;
        if now.settings() != earlier.settings() {
            writeln!(f, "**The settings differ:** {} before, {} now.\n", earlier.settings(), now.settings())?;
        }
        writeln!(f, "| route | server | req/s | p50 | p99 | CPU | CPU of PostgreSQL | context switches |")?;
        writeln!(f, "|---|---|---|---|---|---|---|---|")?;
        for Measured { route, server, figures } in &now.routes {
            let before = earlier.figures(*route, *server).map_or([None; 6], Figures::all);
            writeln!(f, "| {route} | {server} | {} |", changes(&figures.all(), &before))?;
        }
        writeln!(f, "\n| server | start | idle | connection | after logins |\n|---|---|---|---|---|")?;
        for process in &now.processes {
            let before = earlier.process(process.server).map_or([None; 4], Process::all);
            writeln!(f, "| {} | {} |", process.server, changes(&process.all(), &before))?;
        }
        Ok(())
    }
}

fn ratio(part: Option<f64>, whole: Option<f64>) -> String {
    match (part, whole) {
        (Some(part), Some(whole)) if whole > 0.0 => format!("{:.2}", part / whole),
        _ => "-".to_owned(),
    }
}

/// A figure with three digits at least.
fn shown(figure: f64) -> String {
    let decimals = if figure >= 100.0 {
        0
    } else if figure >= 10.0 {
        1
    } else {
        2
    };
    format!("{figure:.decimals$}")
}

/// The cells of a row of changes.
fn changes(now: &[Option<f64>], before: &[Option<f64>]) -> String {
    let cell = |(now, before): (&Option<f64>, &Option<f64>)| match (now, before) {
        (Some(now), Some(before)) if *before > 0.0 => format!("{:+.1} %", (now / before - 1.0) * 100.0),
        _ => "-".to_owned(),
    };
    now.iter().zip(before).map(cell).collect::<Vec<_>>().join(" | ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(rate: f64) -> Figures {
        Figures {
            requests_per_second: rate,
            p50: 100.0,
            p99: 200.0,
            cpu: 10.0,
            database_cpu: Some(5.0),
            context_switches: 1.0,
        }
    }

    fn report(rates: [f64; 3]) -> Report {
        let rows = Server::ALL.into_iter().zip(rates);
        let rows = rows.map(|(server, rate)| Measured { route: Route::Me, server, figures: figures(rate) });
        let process = Process {
            server: Server::Product,
            start: 150.0,
            idle: 31.25,
            connection: 20.0,
            after_logins: None,
        };
        Report {
            users: 1_000,
            connections: 32,
            workers: 2,
            seconds: 3.0,
            rounds: 5,
            sqlite: false,
            processes: vec![process],
            routes: rows.collect(),
        }
    }

    #[test]
    fn the_table_has_ratios() {
        let text = report([20_000.0, 10_000.0, 5_000.0]).to_string();
        let row = "| me | 20000 | 0.50 | 0.25 | 0.50 | 10.0 / 10.0 / 10.0 | 5.00 / 5.00 / 5.00 |";
        assert!(text.contains(row), "{text}");
        assert!(text.contains("| ashlar | 150 | 31.2 | 20.0 | - |"), "{text}");
        assert!(!text.contains("list"), "{text}");
    }

    #[test]
    fn a_route_that_one_server_lacks_has_no_ratio_to_it() {
        let mut report = report([1.0, 200.0, 100.0]);
        report.routes.remove(0);
        assert!(report.to_string().contains("| me | - | - | - | 0.50 | - / 10.0 / 10.0 |"), "{report}");
    }

    #[test]
    fn a_comparison_shows_the_change_of_each_figure() {
        let (before, now) = (report([100.0, 100.0, 100.0]), report([100.0, 110.0, 50.0]));
        let text = now.compared_with(&before).to_string();
        assert!(text.contains("| me | plain | +10.0 % | +0.0 % |"), "{text}");
        assert!(text.contains("| me | ashlar | -50.0 % | +0.0 % |"), "{text}");
        assert!(text.contains("| ashlar | +0.0 % | +0.0 % | +0.0 % | - |"), "{text}");
        assert!(!text.contains("The settings differ"), "{text}");
        let other = Report { users: 7, routes: Vec::new(), ..before };
        let text = now.compared_with(&other).to_string();
        assert!(text.contains("The settings differ") && text.contains("| me | plain | - |"), "{text}");
    }

    #[test]
    fn the_json_is_read_again() {
        let report = report([1.5, 2.5, 3.5]);
        let json = serde_json::to_string(&report).unwrap();
        assert_eq!(serde_json::from_str::<Report>(&json).unwrap(), report);
    }

    #[test]
    fn the_median_is_each_figures_own() {
        let other = Figures { cpu: 1.0, database_cpu: None, ..figures(300.0) };
        let median = Figures::median(&[figures(100.0), other, figures(200.0)]);
        assert_eq!(median, Figures { database_cpu: None, ..figures(200.0) });
    }
}
