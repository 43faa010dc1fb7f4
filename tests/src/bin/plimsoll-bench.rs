//! Measures what the agent costs; see [`plimsoll_tests::bench`].

fn main() -> std::process::ExitCode {
    plimsoll_tests::bench::main()
}
