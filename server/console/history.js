// What polling found in the last 15 minutes, kept in this tab: a reload finds it again, another tab begins anew, and
// the server keeps nothing.

export const SPAN_MS = 15 * 60 * 1000;
// Longer than this without an answer is a gap.
const GAP_MS = 12 * 1000;
const SAMPLES_MAX = 1000;
const CHANGES_MAX = 50;

// Samples are {t, values: {name: number or null}}; changes are {t, from, to, term} of leaders, names or null.
export class History {
  constructor(storage) {
    this.storage = storage;
    this.key = null;
    this.samples = [];
    this.changes = [];
    this.leader = undefined;
  }

  // Goes on with what this tab knows of the member. Whoever is at this address may be another one tomorrow.
  open(cluster, member) {
    const key = `raftkv.history.${cluster}.${member}`;
    if (key === this.key) {
      return;
    }
    this.key = key;
    let kept = null;
    try {
      kept = JSON.parse(this.storage.getItem(key));
    } catch {
      // Not ours, or storage is not to be had: it begins anew.
    }
    this.samples = kept?.samples ?? [];
    this.changes = kept?.changes ?? [];
    this.leader = kept?.leader;
  }

  add(t, values, leader, term) {
    this.samples.push({t, values});
    this.samples = this.samples.filter((sample) => sample.t > t - SPAN_MS).slice(-SAMPLES_MAX);
    if (this.leader !== undefined && this.leader !== leader) {
      this.changes.push({t, from: this.leader, to: leader, term});
      this.changes = this.changes.slice(-CHANGES_MAX);
    }
    this.leader = leader;
    try {
      this.storage.setItem(
          this.key, JSON.stringify({samples: this.samples, changes: this.changes, leader: this.leader}));
    } catch {
      // Without room a reload forgets, and nothing else.
    }
  }

  // The runs of [t, value] without a gap in time or values.
  runs(name) {
    const runs = [];
    let last = -Infinity;
    for (const {t, values} of this.samples) {
      const value = values[name];
      if (value === null || value === undefined) {
        last = -Infinity;
        continue;
      }
      if (t - last > GAP_MS) {
        runs.push([]);
      }
      runs.at(-1).push([t, value]);
      last = t;
    }
    return runs;
  }
}
