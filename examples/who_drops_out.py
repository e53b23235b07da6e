"""Who drops out of a mixed fleet, who cannot take part at all, and why?"""

import hetsim as hs

run = hs.run("iot_mix", overrides=["cost_only=true"], force=True)
devices = run.devices[run.devices["role"] == "device"]
causes = [f"dropped_{cause}" for cause in run.summary["dropouts"]]
lost = devices[devices[causes].sum(axis="columns") > 0]

for name, device in lost.iterrows():
    why = ", ".join(cause.removeprefix("dropped_") for cause in causes if device[cause])
    print(f"{name:12} {why:8} after {device['rounds_done']} rounds")

print("\nWhat happened when:")
for note in run.notes.itertuples():
    print(f"{note.t_s:6.1f} s  {note.actor:12} {note.text}")

run.plot_timeline().write_html(f"{run.folder}/timeline.html")
