//! A load inside a cgroup that counts what it does; see [`plimsoll_tests::load`].

fn main() -> std::process::ExitCode {
    plimsoll_tests::load::main()
}
