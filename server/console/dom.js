// Elements without markup: what comes from the store only ever becomes a text node or an attribute's value.

const SVG = 'http://www.w3.org/2000/svg';

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith('on')) {
      element.addEventListener(name.slice(2), value);
    } else if (value === true) {
      element.setAttribute(name, '');
    } else if (value !== false && value !== null && value !== undefined) {
      element.setAttribute(name, value);
    }
  }
  const absent = [null, undefined, false];
  element.append(...children.flat().filter((child) => !absent.includes(child)));
  return element;
}

// h('p', {class: 'hint', onclick: f}, 'text', child, ...)
export function h(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

export function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

// Changes the text only where it differs, so that what is selected stays selected.
export function setText(element, text) {
  if (element.textContent !== text) {
    element.textContent = text;
  }
}

// Asks in the page's one dialog. Resolves to the value of the chosen action; to null when it is closed otherwise.
// `actions` are {label, value, kind}.
export function ask(title, content, actions) {
  const dialog = document.getElementById('dialog');
  return new Promise((resolve) => {
    const buttons = actions.map(({label, value, kind}) => h('button', {
      type: 'button',
      class: kind ?? '',
      'data-value': value,
      onclick: () => dialog.close(value),
    }, label));
    dialog.replaceChildren(
        h('h2', {id: 'dialog-title'}, title), h('div', {class: 'dialog-text'}, content),
        h('div', {class: 'actions'},
            h('button', {type: 'button', onclick: () => dialog.close('')}, 'Cancel'), buttons));
    dialog.returnValue = '';
    dialog.addEventListener('close', () => resolve(dialog.returnValue || null), {once: true});
    dialog.showModal();
  });
}
