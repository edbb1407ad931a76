"""Prints a stack's outputs, as `sam list stack-outputs --output json` gives them, in the form of the next step.

parameters FILE        KEY=VALUE ... for `sam deploy --parameter-overrides` of a region
settings FILE          export TRIBUTARY_...=VALUE lines for `tributary aws`, and QUERY_URL
copies FILE...         the value of TRIBUTARY_DIRECTORY_COPIES
streams FILE...        the core's parameter Streams
"""

import json
import shlex
import sys
from pathlib import Path


def outputs(file):
    return {output["OutputKey"]: output for output in json.loads(Path(file).read_text(encoding="utf-8"))}


def main(what, file, *rest):
    found = outputs(file)
    if what == "parameters":
        print(*(f"{key}={output['OutputValue']}" for key, output in found.items()))
    elif what == "settings":
        for output in found.values():
            if output.get("Description", "").startswith("TRIBUTARY_"):
                print(f"export {output['Description']}={shlex.quote(output['OutputValue'])}")
        print(f"export QUERY_URL={shlex.quote(found['QueryUrl']['OutputValue'].rstrip('/'))}")
    elif what == "copies":
        print(",".join(outputs(each)["DirectoryCopy"]["OutputValue"] for each in (file, *rest)))
    elif what == "streams":
        print(",".join(outputs(each)["StreamArn"]["OutputValue"] for each in (file, *rest)))
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
