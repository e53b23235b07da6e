"""What if the boards ran at another governor? Seconds beside joules, with nothing trained."""

import hetsim as hs

print(f"{'governor':12} {'time':>9} {'computing':>10} {'all above base':>15}")
for governor in ("performance", "schedutil", "powersave"):
    run = hs.run(
        "jetson_dvfs",
        overrides=["cost_only=true", *(f"fleet[{i}].governor={governor}" for i in range(4))],
        force=True,
    )
    active = run.energy(by="kind", account="active")
    print(
        f"{governor:12} {run.summary['simulated_s']:7.1f} s {active['compute']:8.1f} J"
        f" {active.sum():13.1f} J"
    )
