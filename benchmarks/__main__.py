from edgeproof.cli import run_command

run_command("bench")
