"""Commands that try to exceed limits, and what the participant reads about it."""

PYTHON = "python -S -E -c"

FLOOD = 'x=0123456789abcdef; i=0; while [ $i -lt 10 ]; do x=$x$x; i=$((i+1)); done; while echo "$x"; do :; done'
"""Shell that writes 16 kB blocks without end."""

LIMITS = {
    "forks without end": ("f() { f & f; }; f", "started more than 32 processes|ended with exit code"),
    "threads without end": (
        f"""{PYTHON} 'import threading, time
while True: threading.Thread(target=time.sleep, args=(60,), daemon=True).start()' """,
        "started more than 32 processes|exit code 1",
    ),
    "fills memory": (f"{PYTHON} 'x = [bytearray(b\"x\" * (1 << 20)) for _ in range(1000)]'", "memory"),
    "fills memory in many processes": (
        f"for i in 1 2 3 4 5 6 7 8; do {PYTHON} 'x = bytearray(b\"x\" * (20 << 20)); import time; time.sleep(60)' & done; wait",
        "memory",
    ),
    "fills /tmp": (f"{FLOOD} > /tmp/file; exit 1", "exit code|memory|a file of more than 16 MB"),
    "fills /dev/shm": (f"{FLOOD} > /dev/shm/file; exit 1", "exit code|memory|a file of more than 16 MB"),
    "fills the disk": (f"{FLOOD} > /output/file", "wrote more than 4 MB to /output"),
    "fills the disk with many files": (
        f"{PYTHON} 'for i in range(200): open(f\"/output/{{i}}\", \"wb\").write(bytes(1 << 16))'", "wrote more than 4 MB to /output"
    ),
    "fills the disk with a deleted file": (
        f"{PYTHON} 'import os; f = open(\"/output/x\", \"wb\"); os.remove(\"/output/x\")\nwhile True: f.write(bytes(1 << 16)); f.flush()'",
        "wrote more than 4 MB to /output|exit code 1",
    ),
    "claims a file of a terabyte": (f"{PYTHON} 'open(\"/output/predictions.npy\", \"wb\").truncate(1 << 40)'", "exit code 1|a file of more than 16 MB"),
    "fills the log": (FLOOD, "wrote more than 64 kB to its log"),
    "fills the log at its end": (f"{PYTHON} 'print(\"x\" * 70000)'", "wrote more than 64 kB to its log"),
    "makes many files": (f"{PYTHON} 'for i in range(10**6): open(f\"/output/{{i}}\", \"w\")'", "more than 1000 files in /output"),
    "makes deep folders": (
        f"{PYTHON} 'import os; os.chdir(\"/output\")\nwhile True: os.mkdir(\"x\"); os.chdir(\"x\")'", "more than 1000 files in /output|folders deep"),
    "runs for ever": ("while :; do :; done", "took longer than the limit of 0.5s"),
    "sleeps for ever": ("sleep 1000", "took longer than the limit of 0.5s"),
    "ignores signals": ("trap '' TERM INT HUP QUIT USR1; while :; do :; done", "took longer than the limit of 0.5s"),
    "stops itself": ("kill -STOP $$; sh -c 'kill -STOP $$'; sleep 100", "took longer than the limit of 0.5s"),
    "kills everything": ("kill -9 -1; sleep 100 & kill -9 $!; exit 9", "exit code|SIGKILL|took longer"),
    "writes a symbolic link": ("ln -s /etc/passwd /output/predictions.csv", "predictions.csv: is a symbolic link"),
    "writes a link to the features": ("ln -s /data/features.parquet /output/predictions.parquet", "is a symbolic link"),
    "writes a link as a folder": ("ln -s / /output/root", "root: is a symbolic link"),
    "writes a hard link": ("echo 1 > /output/a; ln /output/a /output/predictions.csv", "is a hard link"),
    "writes a pipe": ("mkfifo /output/predictions.csv", "predictions.csv: is a pipe"),
    "writes a socket": (
        f"{PYTHON} 'import socket; socket.socket(socket.AF_UNIX).bind(\"/output/predictions.csv\")'", "predictions.csv: is a socket"
    ),
    "writes a device": ("mknod /output/predictions.csv c 1 5", "exit code 1"),
    "writes an odd name": (f"{PYTHON} 'open(\"/output/a\\nb\\x1b[31m\", \"w\")'", "odd characters"),
    "writes into the submission": ("echo x > /submission/evil", "exit code [12]"),
    "writes over the features": ("echo x > /data/features.parquet", "exit code [12]"),
    "removes the features": ("rm -f /data/features.parquet", "exit code 1"),
    "writes into the system": ("echo x > /usr/evil || echo x > /etc/evil || echo x > /evil", "exit code [12]"),
}  # fmt: skip
