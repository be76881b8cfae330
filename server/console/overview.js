// How the member and its cluster are: figures, members, the last 15 minutes, changes of leader.

import {h, setText, svg} from './dom.js';
import {formatBytes, formatCount, formatLatency, formatRate, formatSpan, formatTime, secondsOf} from './format.js';
import {SPAN_MS} from './history.js';

const WIDTH = 300;
const HEIGHT = 56;
const SPANS_MIN = [1, 2, 5, 10, SPAN_MS / 60000];

const CHARTS = [
  {name: 'writes', title: 'Writes per second', format: formatRate},
  {name: 'reads', title: 'Reads per second', format: formatRate},
  {name: 'failed', title: 'Failed calls per second', format: formatRate},
  {name: 'write_p99', title: 'Writes, p99', format: formatLatency},
  {name: 'read_p99', title: 'Reads, p99', format: formatLatency},
  {name: 'sync_p99', title: 'Disk syncs, p99', format: formatLatency},
];

const FIGURES = ['Leader', 'Term', 'Revision', 'Keys', 'Disk', 'Memory', 'Up for'];

// What charts show of one answer; null: nothing was done, or an older server does not say.
export function valuesOf(status) {
  const stats = status.requests;
  const window = secondsOf(stats?.window) ?? 0;
  const rate = (latency) => (window > 0 ? Number(latency?.count ?? 0) / window : null);
  return {
    writes: rate(stats?.writes),
    reads: rate(stats?.reads),
    failed: rate(stats?.failed),
    write_p99: secondsOf(stats?.writes?.p99),
    read_p99: secondsOf(stats?.reads?.p99),
    sync_p99: secondsOf(stats?.syncs?.p99),
  };
}

class Chart {
  constructor({name, title, format}) {
    this.name = name;
    this.title = title;
    this.format = format;
    this.now = h('span', {class: 'now'});
    this.area = svg('path', {class: 'area'});
    this.line = svg('path', {class: 'line'});
    this.label = svg('title');
    this.most = h('span');
    this.since = h('span');
    this.element = h('figure', {class: 'card chart', id: `chart-${name}`},
        h('figcaption', {}, h('span', {}, title), this.now),
        svg('svg', {viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: 'none', role: 'img'}, this.label,
            svg('line', {class: 'axis', x1: 0, x2: WIDTH, y1: HEIGHT - 1, y2: HEIGHT - 1}), this.area, this.line),
        h('div', {class: 'scale'}, this.since, this.most, h('span', {}, 'now')));
  }

  show(history, now, latest, known) {
    const runs = history.runs(this.name);
    const most = Math.max(0, ...runs.flat().map(([, value]) => value));
    // As much time as there is something of, so that the first minutes are seen, too.
    const knownMs = now - (history.samples[0]?.t ?? now);
    const minutes = SPANS_MIN.find((span) => span * 60000 >= knownMs) ?? SPANS_MIN.at(-1);
    const x = (t) => (WIDTH * (1 - (now - t) / (minutes * 60000))).toFixed(1);
    const y = (value) => (HEIGHT - 2 - (HEIGHT - 6) * (most > 0 ? value / most : 0)).toFixed(1);
    const lines = runs.map((run) => {
      const points = run.map(([t, value]) => `${x(t)} ${y(value)}`);
      // A single answer is a dot.
      return `M${points.length > 1 ? points.join('L') : `${points[0]}h-1`}`;
    });
    this.line.setAttribute('d', lines.join(''));
    this.area.setAttribute(
        'd', runs.map((run, at) => `${lines[at]}V${HEIGHT - 1}H${x(run[0][0])}Z`).join(''));
    const none = latest === null || latest === undefined;
    const text = none ? (known ? 'none lately' : 'not available') : this.format(latest);
    setText(this.now, text);
    this.now.classList.toggle('none', none);
    setText(this.most, runs.length > 0 ? `peak ${this.format(most)}` : '');
    setText(this.since, `${minutes} min ago`);
    setText(this.label, `${this.title}: ${text}; ${this.most.textContent || 'nothing'} in ${minutes} minutes`);
  }
}

const STATES = {
  RAFT_STATE_LEADER: ['leader', 'leader'],
  RAFT_STATE_FOLLOWER: ['follower', ''],
  RAFT_STATE_PRE_CANDIDATE: ['looks for a leader', 'warn'],
  RAFT_STATE_CANDIDATE: ['stands for election', 'warn'],
  RAFT_STATE_UNSPECIFIED: ['not founded', 'warn'],
};

// [text, kind] of a member's state, as far as the answering member knows.
function stateOf(member, peer, status, leader) {
  const learner = member.role === 'MEMBER_ROLE_LEARNER';
  if (member.id === status.header.member_id) {
    const [text, kind] = STATES[status.raft_state] ?? ['unknown', 'warn'];
    return [text === 'follower' && learner ? 'learner' : text, kind];
  }
  if (peer !== undefined && !peer.reachable) {
    return ['down', 'bad'];
  }
  if (member.is_leader) {
    return ['leader', 'leader'];
  }
  return leader === null ? ['unknown', 'warn'] : [learner ? 'learner' : 'follower', ''];
}

// What a member lacks of the log, in words.
function lagOf(member, peer, status, leader) {
  const entries = (count) => (count <= 0n ? 'none' : `${formatCount(count)} ${count === 1n ? 'entry' : 'entries'}`);
  if (member.id === status.header.member_id) {
    return entries(BigInt(status.commit_index) - BigInt(status.applied_index));
  }
  if (status.raft_state !== 'RAFT_STATE_LEADER') {
    return member.is_leader ? 'none, it leads' : (leader === null ? 'not known' : 'the leader knows');
  }
  return peer?.match_index > 0 ? entries(BigInt(status.last_index) - BigInt(peer.match_index)) : 'not known';
}

function connectionOf(member, peer, status) {
  if (member.id === status.header.member_id) {
    return 'this member';
  }
  if (peer === undefined) {
    return 'not available';
  }
  return peer.reachable ? 'answers' : `silent for ${formatSpan(secondsOf(peer.unreachable_for) ?? 0)}`;
}

// The first of the ranges that somebody watches, and how many others there are.
function rangeOf({range, range_count}) {
  const first = range?.key !== undefined ? range.key
    : range?.prefix !== undefined ? `${range.prefix}…`
    : `${range?.span?.start_key ?? ''} to ${range?.span?.end_key || 'the end'}`;
  return range_count > 1 ? `${first} and ${formatCount(range_count - 1)} more` : first;
}

export class Overview {
  constructor(section, history) {
    this.history = history;
    this.figures = new Map(FIGURES.map(
        (name) => [name, h('dd', {id: `figure-${name.toLowerCase().replace(' ', '-')}`}, '…')]));
    this.charts = CHARTS.map((chart) => new Chart(chart));
    this.rows = h('tbody', {id: 'members'});
    this.changes = h('ul', {class: 'card changes', id: 'leader-changes'});
    this.watches = h('ul', {class: 'card changes', id: 'watches'});
    this.warnings = h('div', {id: 'warnings'});
    const headers = ['Member', 'State', 'Lag', 'Connection', 'Clients', 'Peers', 'Version', 'Priority'];
    this.headers = headers;
    section.append(
        h('dl', {class: 'figures'}, FIGURES.map(
            (name) => h('div', {class: 'card figure'}, h('dt', {}, name), this.figures.get(name)))),
        this.warnings,
        h('div', {class: 'block'}, h('h2', {}, 'Members'),
            h('div', {class: 'card'}, h('table', {},
                h('thead', {}, h('tr', {}, headers.map((name) => h('th', {scope: 'col'}, name)))), this.rows))),
        h('div', {class: 'block'}, h('h2', {}, 'The last 15 minutes of this member'),
            h('div', {class: 'charts'}, this.charts.map((chart) => chart.element)),
            h('p', {class: 'hint'},
                'Each point is of 5 seconds. This tab keeps them, so they begin when it was opened.')),
        h('div', {class: 'block'}, h('h2', {}, 'Watches of this member'), this.watches),
        h('div', {class: 'block'}, h('h2', {}, 'Changes of leader'), this.changes));
  }

  // `state` is main.js's, and has an answer.
  show(state) {
    const {status, members, leader} = state;
    const text = {
      'Leader': leader?.name ?? 'none',
      'Term': formatCount(status.header.raft_term),
      'Revision': formatCount(status.header.revision),
      'Keys': formatCount(status.key_count),
      'Disk': formatBytes(status.disk_bytes),
      'Memory': formatBytes(status.memory?.resident_bytes),
      'Up for': formatSpan(secondsOf(status.uptime) ?? 0),
    };
    for (const [name, element] of this.figures) {
      setText(element, text[name]);
    }
    this.showWarnings(status.warnings ?? []);
    this.showMembers(status, members, leader);
    this.showWatches(status.watches);
    this.showChanges();
    this.draw(state);
  }

  // Time goes on also while nobody answers.
  draw(state) {
    const values = state.failingSince === null ? valuesOf(state.status) : {};
    const known = state.status.requests !== undefined && state.failingSince === null;
    for (const chart of this.charts) {
      chart.show(this.history, Date.now(), values[chart.name], known);
    }
  }

  showWarnings(warnings) {
    const key = warnings.join('\n');
    if (this.shownWarnings !== key) {
      this.shownWarnings = key;
      this.warnings.replaceChildren(...warnings.map((text) => h('p', {class: 'message warn'}, text)));
    }
  }

  showMembers(status, members, leader) {
    const peers = new Map((status.peers ?? []).map((peer) => [peer.id, peer]));
    this.rows.replaceChildren(...members.map((member) => {
      const peer = peers.get(member.id);
      const [state, kind] = stateOf(member, peer, status, leader);
      const cells = [
        h('span', {}, member.name, member.id === status.header.member_id && h('span', {class: 'tag self'}, 'this one')),
        h('span', {class: `tag ${kind}`}, state),
        lagOf(member, peer, status, leader),
        connectionOf(member, peer, status),
        h('span', {class: 'address'}, member.client_address || 'not published'),
        h('span', {class: 'address'}, member.peer_address),
        member.version || 'not known',
        member.priority ?? 0,
      ];
      return h('tr', {class: kind === 'bad' ? 'down' : '', 'data-member': member.name},
          cells.map((cell, at) => h('td', {'data-label': this.headers[at]}, cell)));
    }));
  }

  showWatches(watches) {
    const slowest = watches?.slowest ?? [];
    const items = slowest.map((watch) => h('li', {},
        h('span', {class: 'address'}, watch.client),
        ` ${rangeOf(watch)}, ${formatCount(watch.behind ?? 0)} revisions behind`));
    const others = BigInt(watches?.count ?? 0) - BigInt(slowest.length);
    if (others > 0n) {
      items.push(h('li', {class: 'hint'}, `${formatCount(others)} others are less far behind.`));
    }
    this.watches.replaceChildren(...(items.length > 0 ? items : [h('li', {class: 'hint'}, 'None.')]));
  }

  showChanges() {
    const changes = this.history.changes;
    const key = changes.map((change) => change.t).join();
    if (this.shownChanges === key) {
      return;
    }
    this.shownChanges = key;
    const items = changes.toReversed().map(({t, from, to, term}) => h('li', {},
        h('time', {datetime: new Date(t).toISOString()}, formatTime(t)),
        `${from ?? 'nobody'} → ${to ?? 'nobody'}, term ${term}`));
    this.changes.replaceChildren(
        ...(items.length > 0 ? items : [h('li', {class: 'hint'}, 'None since this tab was opened.')]));
  }
}
