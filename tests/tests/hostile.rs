//! Names from outside cannot break the page, however they look and however many there are.

use std::{ffi::OsStr, fs, os::unix::ffi::OsStrExt as _, process::Command, thread, time::Duration};

use anyhow::Result;
use plimsoll_tests::{
    accounts::{compare_gauges, totals},
    agent::Agent,
    cgroup::Cgroup,
    docker::Docker,
    load::Counts,
    page::{Page, Sample},
    pins::Pins,
    prometheus,
    report::Case,
    settings::scaled,
    storm::{Plan, Storm},
    wait,
};

/// More than 10,000 containers of 40 series need; a page beyond it is not bounded.
const LARGEST_PAGE: usize = 4 << 20;

/// A load of one fork by one worker.
fn one_fork(cgroup: &Cgroup) -> Result<Counts> {
    let plan = Plan { mode: "fork", count: Some(1), live_processes: 0, live_threads: 0, target: None };
    let mut storm = Storm::start(cgroup, &plan)?;
    storm.done()?;
    Ok(storm.end()?.counts)
}

#[test]
fn a_cgroup_whose_name_is_no_text_is_shown_escaped() -> Result<()> {
    Case::run("a_cgroup_whose_name_is_no_text_is_shown_escaped", |case| {
        let pins = Pins::new()?;
        let agent = Agent::start(&pins, &[])?;
        let cgroup = Cgroup::create_raw(OsStr::from_bytes(b"\xff\"quoted\"\xc3\x28"))?;
        let counted = one_fork(&cgroup)?;
        let id = "/plimsoll-test-\\xFF\"quoted\"\\xC3(";
        case.compare("what it did", totals(&agent.scrape()?, id)?, counted);
        case.prove("Prometheus takes the page", prometheus::takes(agent.address())?);
        Ok(())
    })
}

#[test]
fn cgroups_that_are_named_like_containers_keep_the_page_bounded_and_the_container_its_counts() -> Result<()> {
    Case::run(
        "cgroups_that_are_named_like_containers_keep_the_page_bounded_and_the_container_its_counts",
        |case| {
            let (pins, user, id) = (Pins::new()?, Cgroup::create("forger")?, "4f".repeat(32));
            let agent = Agent::start(&pins, &[])?;
            let holder = Cgroup::create("holder")?;
            let container = holder.child(&format!("docker-{id}.scope"))?;
            let counted = one_fork(&container)?;
            wait::until_true("it has an account", || Ok(totals(&agent.scrape()?, &container.id()).is_ok()))?;
            let forged = user.path().join(format!("docker-{id}.scope"));
            fs::create_dir(&forged)?;
            let pid = Command::new("sh")
                .args(["-c", "echo $$ > cgroup.procs; (:); (:)"])
                .current_dir(&forged)
                .status()?;
            case.prove("forks in the forged one", pid.success());
            for n in 0..scaled(20_000) {
                fs::create_dir(user.path().join(format!("lxc.payload.u{n}")))?;
            }
            thread::sleep(Duration::from_secs(8));
            let page = agent.scrape()?;
            case.compare("counts of the container", totals(&page, &container.id())?, counted);
            case.prove(format_args!("a page of {} bytes is bounded", page.size), page.size < LARGEST_PAGE);
            Ok(())
        },
    )
}

#[test]
fn a_cgroup_of_a_user_is_never_taken_for_a_stopped_container() -> Result<()> {
    Case::run("a_cgroup_of_a_user_is_never_taken_for_a_stopped_container", |case| {
        let (docker, pins, user) = (Docker::start()?, Pins::new()?, Cgroup::create("delegated")?);
        std::os::unix::fs::chown(user.path(), Some(65_534), None)?;
        let id = docker.start_container(&["--name", "victim"], "while true; do sleep 0.1; done")?;
        let agent = Agent::start(&pins, &["--docker-root", &docker.root().display().to_string()])?;
        let forks = |page: &Page| page.find("plimsoll_container_forks_total", &[("name", "victim")]);
        docker.run(&["kill", "victim"])?;
        let before = agent.scrape_until("it ends", |page| {
            let over = page.find("container_processes", &[("name", "victim")])?.is_none();
            Ok(if over { forks(page)? } else { None })
        })?;
        let forged = user.child(&id)?;
        one_fork(&forged)?;
        thread::sleep(Duration::from_secs(3));
        let page = agent.scrape()?;
        case.compare("forks of the stopped container", forks(&page)?, Some(before));
        case.compare("an account of its own", totals(&page, &forged.id())?.forks > 0, true);
        docker.run(&["start", "victim"])?;
        let again = agent.scrape_until("the container counts on", |page| {
            Ok(forks(page)?.filter(|forks| *forks > before + 2))
        })?;
        case.prove("and more than before", again > before);
        Ok(())
    })
}

#[test]
fn twenty_thousand_cgroups_keep_the_page_bounded() -> Result<()> {
    Case::run("twenty_thousand_cgroups_keep_the_page_bounded", |case| {
        let (pins, user) = (Pins::new()?, Cgroup::create("many")?);
        let agent = Agent::start(&pins, &[])?;
        let mut sleeper = Command::new("sleep").arg("1000").spawn()?;
        let pid = sleeper.id().to_string();
        for n in 0..scaled(20_000) {
            let cgroup = user.path().join(format!("c{n}"));
            fs::create_dir(&cgroup)?;
            fs::write(cgroup.join("cgroup.procs"), &pid)?;
        }
        let page = agent.scrape()?;
        case.prove(format_args!("a page of {} bytes is bounded", page.size), page.size < LARGEST_PAGE);
        let id = user.id();
        let of_user = |sample: &&Sample| sample.labels.get("id").is_some_and(|other| other.starts_with(&id));
        let shown = page.all("container_processes", &[]).filter(of_user).count();
        case.prove(format_args!("{shown} cgroups of one user are bounded"), shown <= 1_000);
        case.prove("none of them is missing", shown as u64 >= scaled(20_000).min(900));
        let others = page.all("container_processes", &[("id", "/other")]).count();
        case.compare("others, as one", others, usize::from(scaled(20_000) > 1_000));
        case.prove("Prometheus takes the page", prometheus::takes(agent.address())?);
        let beside = Cgroup::create("beside")?;
        let counted = one_fork(&beside)?;
        let node = agent.scrape()?.count("plimsoll_node_forks_total", &[])?;
        case.prove("the node counts on", node >= counted.forks);
        user.add(sleeper.id().cast_signed())?;
        compare_gauges(case, "of their parent", &agent.scrape()?, &user)?;
        sleeper.kill()?;
        sleeper.wait()?;
        Ok(())
    })
}
