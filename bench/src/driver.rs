//! The run: the servers side by side, measured in turn, so that a machine that is slower for a while is so for all of them.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tokio::runtime::Runtime;

use crate::client::{Clients, Requests};
use crate::options::Options;
use crate::report::{Figures, Measured, Process, Report};
use crate::route::{LOGINS, Route, Server, Traits};
use crate::site::{Binaries, Running, Site, answer};
use crate::usage::Usage;

/// Longest warming before a measurement.
const WARMING: Duration = Duration::from_secs(1);

/// Wait after the start of the servers, before their memory is read, so that memory which only the start needed is released.
const REST: Duration = Duration::from_secs(1);

/// Number of connections whose memory is measured, besides one: the product accepts 512 of one address.
const CONNECTIONS: usize = 400;

const MIB: f64 = 1_048_576.0;

/// Measures, and writes the result to the file of the options, after each route what there is by then.
///
/// # Errors
///
/// A server does not start, an answer is not the expected one, or a file cannot be read or written.
pub fn run(options: &Options, binaries: &Binaries) -> Result<Report> {
    ensure!(
        options.users >= 2 && options.connections > 0 && options.rounds > 0 && options.workers > 0,
        "a run needs users, connections, rounds and workers"
    );
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let bench = Bench::start(&runtime, options, binaries)?;
    let report = bench.measure()?;
    bench.stop();
    Ok(report)
}

struct Bench<'a> {
    runtime: &'a Runtime,
    options: &'a Options,
    site: Site,
    servers: Vec<Running>,
    postmaster: Option<u32>,
}

impl<'a> Bench<'a> {
    fn start(runtime: &'a Runtime, options: &'a Options, binaries: &Binaries) -> Result<Self> {
        runtime.block_on(async {
            progress(&format!("filling the database with {} users", options.users));
            let mut site = Site::prepare(options, binaries).await?;
            let mut servers = Vec::new();
            for server in Server::ALL {
                if server == Server::Limit && options.sqlite {
                    continue;
                }
                let running = site.start(server).await?;
                if server == Server::Product && options.has(Route::ListDeep) {
                    site.find_deep_page(&running.process).await?;
                }
                servers.push(running);
            }
            let postmaster = site.postmaster().await?;
            tokio::time::sleep(REST).await;
            Ok(Self { runtime, options, site, servers, postmaster })
        })
    }

    fn measure(&self) -> Result<Report> {
        let process = |running: &Running| {
            anyhow::Ok(Process {
                server: running.server,
                start: running.start.as_secs_f64() * 1_000.0,
                idle: memory(running),
                connection: self.memory_of_connections(running)?,
                after_logins: None,
            })
        };
        let processes = self.servers.iter().map(process).collect::<Result<_>>()?;
        let Options { users, seconds, rounds, connections, workers, sqlite, .. } = *self.options;
        let routes = Vec::new();
        let mut report = Report { users, connections, workers, seconds, rounds, sqlite, processes, routes };
        for route in Route::ALL.iter().copied().filter(|route| self.options.has(*route)) {
            progress(&format!("measuring {route}"));
            report.routes.extend(self.route(route).with_context(|| format!("the route {route}"))?);
            if route == Route::Login {
                for (process, running) in report.processes.iter_mut().zip(&self.servers) {
                    process.after_logins = Some(memory(running)).filter(|_| running.server.has(route));
                }
            }
            save(&report, &self.options.json)?;
        }
        Ok(report)
    }

    fn route(&self, route: Route) -> Result<Vec<Measured>> {
        let mut servers: Vec<(&Running, Arc<Requests>)> = Vec::new();
        for running in self.servers.iter().filter(|running| running.server.has(route)) {
            servers.push((running, Arc::new(self.requests(running, route)?)));
        }
        self.compare_answers(route, &servers)?;
        let mut rounds = vec![Vec::new(); servers.len()];
        for _ in 0..self.options.rounds {
            for ((running, requests), figures) in servers.iter().zip(&mut rounds) {
                let round = self.round(running, route, requests);
                figures.push(round.with_context(|| format!("the server {}", running.server))?);
            }
        }
        let median = |((running, _), rounds): (&(&Running, _), Vec<Figures>)| Measured {
            route,
            server: running.server,
            figures: Figures::median(&rounds),
        };
        Ok(servers.iter().zip(rounds).map(median).collect())
    }

    fn requests(&self, running: &Running, route: Route) -> Result<Requests> {
        if route == Route::Refresh {
            return self.runtime.block_on(self.site.refreshes(running));
        }
        self.site.requests(running.server, route)
    }

    /// Memory of an idle connection that was used, in KiB.
    fn memory_of_connections(&self, running: &Running) -> Result<f64> {
        let requests = Arc::new(self.site.requests(running.server, Route::Live)?);
        let measured = |count: usize| {
            let mut clients = Clients::connect(running.address, count)?;
            clients.run(&requests, WARMING)?;
            anyhow::Ok(float(running.process.memory()))
        };
        let few = measured(1)?;
        let many = measured(1 + CONNECTIONS)?;
        #[expect(clippy::cast_precision_loss, reason = "a few hundred")]
        Ok((many - few) / CONNECTIONS as f64 / 1_024.0)
    }

    /// Servers whose answers differ do not do the same work.
    fn compare_answers(&self, route: Route, servers: &[(&Running, Arc<Requests>)]) -> Result<()> {
        let mut expected = None;
        for (running, requests) in servers {
            let answer = self.runtime.block_on(answer(running.address, route, requests));
            let answer = answer.with_context(|| format!("the server {}", running.server))?;
            let (first, expected) = expected.get_or_insert_with(|| (running.server, answer.clone()));
            ensure!(
                answer == *expected,
                "the servers {first} and {} answer differently:\n{expected:#}\n{answer:#}",
                running.server
            );
        }
        Ok(())
    }

    fn round(&self, running: &Running, route: Route, requests: &Arc<Requests>) -> Result<Figures> {
        if route != Route::MeBusy {
            return self.measured(running, route, requests);
        }
        let logins = Arc::new(self.site.requests(running.server, Route::Login)?);
        let mut others = Clients::connect(running.address, LOGINS.min(self.options.connections))?;
        let time = Duration::try_from_secs_f64(self.options.seconds)?;
        std::thread::scope(|scope| {
            let signing_in = scope.spawn(move || others.run(&logins, WARMING.min(time) + time));
            let figures = self.measured(running, route, requests);
            signing_in.join().map_err(|_| anyhow::anyhow!("the clients that sign in panicked"))??;
            figures
        })
    }

    fn measured(&self, running: &Running, route: Route, requests: &Arc<Requests>) -> Result<Figures> {
        let time = Duration::try_from_secs_f64(self.options.seconds)?;
        let Traits { adds_to, emits_events, .. } = route.traits();
        if let Some(table) = adds_to {
            self.runtime.block_on(self.site.empty(table))?;
        }
        let mut clients = Clients::connect(running.address, route.connections(self.options.connections))?;
        clients.run(requests, WARMING.min(time))?;
        let before = self.usage(running)?;
        let sample = clients.run(requests, time)?;
        let after = self.usage(running)?;
        if running.server == Server::Product && emits_events {
            self.runtime.block_on(self.site.events_are_delivered())?;
        }
        let own = after.0 - before.0;
        let database = after.1.zip(before.1).map(|(after, before)| after - before);
        Ok(Figures {
            requests_per_second: sample.rate(),
            p50: sample.percentile(50),
            p99: sample.percentile(99),
            cpu: float(own.cpu) / sample.count(),
            database_cpu: database.map(|database| float(database.cpu) / sample.count()),
            context_switches: float(own.switches) / sample.count(),
        })
    }

    /// Counters of the server's process and of PostgreSQL's.
    fn usage(&self, running: &Running) -> Result<(Usage, Option<Usage>)> {
        let own = Usage::of(running.process.id()).with_context(|| format!("{} has ended", running.server))?;
        Ok((own, self.postmaster.map(Usage::of_family).transpose()?))
    }

    fn stop(self) {
        let Self { runtime, servers, .. } = self;
        runtime.block_on(async {
            for running in servers {
                running.process.stop().await;
            }
        });
    }
}

fn save(report: &Report, file: &Path) -> Result<()> {
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder).context("the folder of the result cannot be made")?;
    }
    fs::write(file, serde_json::to_string_pretty(report)? + "\n")
        .with_context(|| format!("can't write {}", file.display()))
}

/// Resident memory in MiB.
fn memory(running: &Running) -> f64 {
    float(running.process.memory()) / MIB
}

#[expect(clippy::cast_precision_loss, reason = "counters of a run are far below 2^52")]
fn float(number: u64) -> f64 {
    number as f64
}

#[expect(clippy::print_stderr, reason = "a run takes minutes; standard output is for the result")]
fn progress(step: &str) {
    eprintln!("{step}");
}
