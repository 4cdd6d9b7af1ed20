//! The program `schleuse`. Everything is in the library, where tests reach it.

fn main() -> std::process::ExitCode {
    schleuse_cli::main()
}
