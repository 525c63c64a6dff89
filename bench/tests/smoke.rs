//! A short run of everything, on the engine of the tests. It checks that all servers answer alike, and no figure.

use std::path::Path;

use bench::driver;
use bench::options::Options;
use bench::report::Report;
use bench::route::{Route, Server};
use bench::site::Binaries;
use tests::process::Installation;

/// All routes but `insert`: the product of the tests has no generated domain.
const ROUTES: &[Route] = &[
    Route::Live,
    Route::Me,
    Route::MeCold,
    Route::User,
    Route::List,
    Route::ListDeep,
    Route::Patch,
    Route::Upload, // domain: upload
    Route::Refresh,
    Route::Login,
    Route::MeBusy,
];

#[test]
fn a_short_run_measures_every_route_of_every_server() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let sqlite = !runtime.block_on(Installation::new()).is_on_postgres();
    let folder = tempfile::tempdir().unwrap();
    let options = Options {
        users: 60,
        seconds: 0.05,
        rounds: 1,
        connections: 2,
        workers: 1,
        only: ROUTES.to_vec(),
        sqlite,
        json: folder.path().join("new/result.json"),
        compare: None,
    };
    let binaries = Binaries {
        product: None,
        limit: Path::new(env!("CARGO_BIN_EXE_limit")).to_owned(),
        plain: Path::new(env!("CARGO_BIN_EXE_plain")).to_owned(),
    };
    let report = driver::run(&options, &binaries).unwrap();
    let servers: Vec<Server> =
        Server::ALL.into_iter().filter(|server| !sqlite || *server != Server::Limit).collect();
    assert_eq!(report.processes.len(), servers.len());
    for &route in ROUTES {
        for server in servers.iter().filter(|server| server.has(route)) {
            let row = report.routes.iter().find(|row| (row.route, row.server) == (route, *server));
            assert!(row.unwrap().figures.requests_per_second > 0.0, "{route} of {server}");
        }
    }
    let json = std::fs::read_to_string(&options.json).unwrap();
    // As text: the last bit of a number may change when its JSON is read.
    assert_eq!(serde_json::from_str::<Report>(&json).unwrap().to_string(), report.to_string());
}
