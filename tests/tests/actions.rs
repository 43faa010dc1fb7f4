//! What is done beyond refusing where a container hits its task limit.

use std::fs;

use anyhow::Result;
use plimsoll_tests::{agent::Agent, docker::Docker, pins::Pins, report::Case, wait};
use tempfile::NamedTempFile;

const HELD: &str = "plimsoll_container_limit_held";

const CONFIGURATION: &str = r#"
[[limits.policy]]
name = "kill"
select = { name = "limited-kill" }
pids = 20
on-pids-limit = "kill"

[[limits.policy]]
name = "freeze"
select = { name = "limited-freeze" }
pids = 20
on-pids-limit = "freeze"
"#;

#[test]
fn a_container_that_hits_its_line_is_killed_or_frozen() -> Result<()> {
    Case::run("a_container_that_hits_its_line_is_killed_or_frozen", |case| {
        let (pins, docker) = (Pins::new()?, Docker::start()?);
        let config = NamedTempFile::with_suffix(".toml")?;
        fs::write(config.path(), CONFIGURATION)?;
        let [root, file] = [docker.root(), config.path().to_owned()].map(|path| path.display().to_string());
        let agent = Agent::start(&pins, &["--docker-root", &root, "--config", &file])?;
        let runs = |name: &str| docker.run(&["inspect", "--format", "{{.State.Running}}", name]);
        for name in ["limited-kill", "limited-freeze"] {
            docker.start_container(&["--name", name], "sleep 1000")?;
            agent.scrape_until("it is limited", |page| {
                Ok(page.find(HELD, &[("name", name)])?.filter(|held| *held == 1))
            })?;
            // The first process is not the one whose forks are refused: what refuses them does not end the container.
            docker.run(&["exec", "--detach", name, "sh", "-c", "while :; do sleep 1000 & done"])?;
        }
        wait::until_true("one is killed", || Ok(runs("limited-kill")? == "false"))?;
        let events = || agent.ask(&["events", "--json", "--container", "limited-freeze"]);
        wait::until_true("the other is frozen", || Ok(events()?.contains("\"freeze\"")))?;
        case.prove("what is frozen was not ended", runs("limited-freeze")? == "true");
        let said = agent.ask(&["events", "--json", "--container", "limited-kill"])?;
        case.prove(
            format!("the journal tells of both: {said}"),
            said.contains("\"kill\"") && said.contains("\"hit\""),
        );
        agent.stop()?;
        // One that is frozen cannot be killed.
        pins.clean_up()?;
        docker.run(&["kill", "limited-freeze"])?;
        wait::until_true("it is thawed", || Ok(runs("limited-freeze")? == "false"))?;
        Ok(())
    })
}
