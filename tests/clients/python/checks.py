"""Runs checks, with one line each: `checks.py objects`, or `checks.py pods` for those that need a node."""
import logging
import os
import re
import sys
import time
import traceback

from kubernetes import config

import objects
import pods
import watches

GROUPS = {"objects": objects.CHECKS + watches.CHECKS, "pods": pods.CHECKS}


def run(name, check):
    """Whether a check went well."""
    start = time.monotonic()
    try:
        check()
    except Exception:
        print(f"FAILED  python: {name}")
        for line in traceback.format_exc().splitlines()[-12:]:
            print("        " + line)
        return False
    print(f"ok      python: {name} ({time.monotonic() - start:.0f} s)")
    return True


def main():
    logging.disable()  # an informer says a lot about its own end
    config.load_kube_config()
    chosen = [(name, check) for name, check in GROUPS[sys.argv[1]] if re.search(os.environ.get("ONLY", ""), "python:" + name)]
    results = [run(name, check) for name, check in chosen]
    sys.exit(0 if all(results) else 1)


main()
