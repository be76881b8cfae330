// Numbers, times and bytes for people.

const number = new Intl.NumberFormat('en', {maximumFractionDigits: 0});

// '1234567' -> '1,234,567', exact however large.
export function formatCount(text) {
  return number.format(BigInt(text ?? 0));
}

export function formatRate(perSecond) {
  return perSecond >= 100 ? number.format(perSecond) : perSecond.toFixed(perSecond >= 10 || perSecond === 0 ? 0 : 1);
}

export function formatBytes(text) {
  let amount = Number(text ?? 0);
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let unit = 0;
  while (amount >= 999.5 && unit + 1 < units.length) {
    amount /= 1000;
    ++unit;
  }
  return `${unit === 0 || amount >= 9.95 ? amount.toFixed(0) : amount.toFixed(1)} ${units[unit]}`;
}

// '0.001500s', as protobuf writes a Duration, in seconds.
export function secondsOf(duration) {
  return duration === undefined || duration === null ? null : Number.parseFloat(duration);
}

// 0.00123 -> '1.2 ms'.
export function formatLatency(seconds) {
  for (const [unit, factor] of [['µs', 1e6], ['ms', 1e3], ['s', 1]]) {
    const amount = seconds * factor;
    if (amount < 999.5 || unit === 's') {
      return `${amount >= 9.95 || amount === 0 ? amount.toFixed(0) : amount.toFixed(1)} ${unit}`;
    }
  }
  return '';
}

// 3723 -> '1 h 2 min'.
export function formatSpan(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const parts = [['d', Math.floor(whole / 86400)], ['h', Math.floor(whole / 3600) % 24],
    ['min', Math.floor(whole / 60) % 60], ['s', whole % 60]];
  const first = parts.findIndex(([, amount]) => amount > 0);
  const shown = first < 0 ? [['s', 0]] : parts.slice(first, first + 2);
  return shown.map(([unit, amount]) => `${amount} ${unit}`).join(' ');
}

export function formatTime(millis) {
  return new Date(millis).toLocaleTimeString('en-GB');
}

export function bytesOfBase64(text) {
  return Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
}

export function base64OfBytes(bytes) {
  let text = '';
  for (let at = 0; at < bytes.length; at += 8192) {
    text += String.fromCharCode(...bytes.subarray(at, at + 8192));
  }
  return btoa(text);
}

const byteText = (byte) => byte.toString(16).padStart(2, '0');

// As hexdump -C has it; the first `bytesMax` bytes.
export function formatHex(bytes, bytesMax) {
  const lines = [];
  for (let at = 0; at < Math.min(bytes.length, bytesMax); at += 16) {
    const row = Array.from(bytes.subarray(at, Math.min(at + 16, bytesMax)));
    const left = row.slice(0, 8).map(byteText).join(' ').padEnd(23);
    const right = row.slice(8).map(byteText).join(' ').padEnd(23);
    const text = row.map((byte) => (byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : '.')).join('');
    lines.push(`${at.toString(16).padStart(8, '0')}  ${left}  ${right}  ${text}`);
  }
  return lines.join('\n');
}

// Pairs of hexadecimal digits, 32 bytes a line.
export function plainHex(bytes) {
  const lines = [];
  for (let at = 0; at < bytes.length; at += 32) {
    lines.push(Array.from(bytes.subarray(at, at + 32), byteText).join(' '));
  }
  return lines.join('\n');
}

// The opposite of plainHex; null when it is none.
export function bytesOfHex(text) {
  const digits = text.replace(/\s+/g, '');
  if (digits.length % 2 !== 0 || !/^[0-9a-fA-F]*$/.test(digits)) {
    return null;
  }
  return Uint8Array.from(digits.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}

export function isJson(text) {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

// Indents JSON by its tokens: what JSON.parse and stringify would do to large numbers, they would do silently.
// REQUIRES: isJson(text).
export function indentJson(text) {
  let depth = 0;
  let out = '';
  const newline = () => `\n${'  '.repeat(depth)}`;
  const tokens = text.match(/"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s"{}[\],:]+/g) ?? [];
  tokens.forEach((token, at) => {
    const next = tokens[at + 1];
    if (token === '{' || token === '[') {
      const empty = next === '}' || next === ']';
      depth += 1;
      out += token + (empty ? '' : newline());
    } else if (token === '}' || token === ']') {
      depth -= 1;
      const empty = tokens[at - 1] === '{' || tokens[at - 1] === '[';
      out += (empty ? '' : newline()) + token;
    } else if (token === ',') {
      out += token + newline();
    } else {
      out += token === ':' ? ': ' : token;
    }
  });
  return out;
}
