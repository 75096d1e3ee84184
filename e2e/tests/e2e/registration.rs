//! REGISTER as sent by phones: digest, wrong password, removal.

use e2e::Server;
use e2e::sipp::Scenario;

fn server_with_ann() -> anyhow::Result<Server> {
    let server = Server::start()?;
    server.rest().client("ann", "ann-Secret-1")?;
    Ok(server)
}

/// Scenario name, digest user and password; the scenario states the expected outcome.
fn check(scenario: &str, user: &str, password: &str) -> anyhow::Result<()> {
    let server = server_with_ann()?;
    let outcome = Scenario::new(scenario)
        .service(user)
        .credentials(user, password)
        .run(&server);
    assert!(outcome.is_ok(), "{outcome:?}\n{}", server.log());
    Ok(())
}

#[test]
fn the_right_password_registers() -> anyhow::Result<()> {
    check("register-expect-200", "ann", "ann-Secret-1")
}

#[test]
fn a_wrong_password_is_refused() -> anyhow::Result<()> {
    check("register-expect-403", "ann", "wrong")
}

#[test]
fn an_unknown_user_is_refused_like_a_wrong_password() -> anyhow::Result<()> {
    check("register-expect-403", "nobody", "ann-Secret-1")
}

#[test]
fn a_registration_is_listed_and_removed() -> anyhow::Result<()> {
    check("register-list-remove-expect-200", "ann", "ann-Secret-1")
}

#[test]
fn registration_over_tcp() -> anyhow::Result<()> {
    let server = server_with_ann()?;
    let scenario = Scenario::new("register-expect-200")
        .service("ann")
        .credentials("ann", "ann-Secret-1")
        .tcp();
    let outcome = scenario.run(&server);
    assert!(outcome.is_ok(), "{outcome:?}\n{}", server.log());
    Ok(())
}
