/** Pieces of the page that several views use. */

import { h, setText } from './dom.js';
import { describeState, formatAddress } from './format.js';
import { icon } from './icons.js';
import { segments } from './text.js';

const TOAST_TIME = 7000;

/**
 * A message that goes away by itself; errors stay until they are dismissed.
 *
 * @param {string} text
 * @param {'info'|'good'|'bad'} [tone]
 */
export function toast(text, tone = 'info') {
    const region = document.getElementById(tone === 'bad' ? 'alerts' : 'toasts');
    const item = h('div', { class: `toast toast-${tone}` },
                   icon(tone === 'bad' ? 'warning' : 'check'),
                   h('p', {}, text),
                   h('button', { class: 'icon-button', type: 'button', 'aria-label': 'Dismiss',
                                 onclick: () => item.remove() }, icon('close')));

    while (region.childElementCount >= 4) {
        region.firstElementChild.remove();
    }

    region.append(item);
    if (tone !== 'bad') {
        setTimeout(() => item.remove(), TOAST_TIME);
    }
}

/**
 * Says what went wrong; a problem report's request id helps support.
 *
 * @param {any} error
 * @param {string} [what]   "The server was not stopped."
 */
export function toastError(error, what = '') {
    if (error.status === 401) {
        return;                         /* the sign-in page says it */
    }

    const id = error.requestId && error.status >= 500 ? ` (request ${error.requestId})` : '';
    const faults = (error.faults ?? []).map((fault) => fault.message).join(' ');

    toast([what, error.message, faults].filter(Boolean).join(' ') + id, 'bad');
}

/**
 * The state as a small coloured label that can be told what to show.
 */
export function statePill() {
    const text = h('span');
    const element = h('span', { class: 'pill' }, h('span', { class: 'dot', 'aria-hidden': 'true' }), text);

    return {
        element,
        /**
         * @param {any} server
         * @param {{action: string}|undefined} pending
         */
        update(server, pending) {
            const { label, tone } = describeState(server);
            const asked = { start: 'Start requested', stop: 'Stop requested', restart: 'Restart requested' };

            element.className = `pill tone-${pending ? 'busy' : tone}`;
            setText(text, pending ? asked[pending.action] : label);
        },
    };
}

/**
 * Players online of how many, with a bar.
 */
export function playersMeter() {
    const count = h('span', { class: 'players-count' });
    const bar = h('span', { class: 'players-fill' });
    const element = h('span', { class: 'players' }, count,
                      h('span', { class: 'players-bar', 'aria-hidden': 'true' }, bar));

    return {
        element,
        /** @param {any} server */
        update(server) {
            const players = server.status?.players;
            const max = players?.max ?? server.spec?.properties?.maxPlayers ?? 20;
            const online = players?.online ?? 0;
            const known = describeState(server).state === 'Running';

            setText(count, known ? `${online} / ${max}` : `– / ${max}`);
            count.title = known ? `${online} of ${max} players online` : 'not running';
            bar.style.setProperty('--part', String(known ? Math.min(1, online / max) : 0));
            element.classList.toggle('players-none', !known || online === 0);
        },
    };
}

/**
 * The address players type in, with a button that copies it.
 */
export function addressField() {
    const text = h('span', { class: 'address-text' });
    const button = h('button', { class: 'address', type: 'button', title: 'Copy address',
                                 onclick: () => copy(text.textContent, button) },
                     text, icon('copy'));
    const none = h('span', { class: 'muted' });
    const element = h('span', { class: 'address-slot' }, button, none);

    return {
        element,
        /** @param {any} server */
        update(server) {
            const address = formatAddress(server.status);

            setText(text, address);
            setText(none, describeState(server).tone === 'busy' ? 'not yet' : '–');
            button.hidden = address === '';
            none.hidden = address !== '';
            button.setAttribute('aria-label', `Copy address ${address}`);
        },
    };
}

/**
 * @param {string} text
 * @param {Element} button   shows a tick for a moment
 */
export async function copy(text, button) {
    try {
        if (navigator.clipboard) {
            await navigator.clipboard.writeText(text);
        } else {
            copyBySelection(text);
        }

        const mark = button.querySelector('.icon');
        const tick = icon('check');

        mark.replaceWith(tick);
        button.classList.add('copied');
        setTimeout(() => {
            tick.replaceWith(mark);
            button.classList.remove('copied');
        }, 1500);
        toast(`Copied ${text}`, 'good');

    } catch {
        toast(`Copying is not allowed here. The address is ${text}`, 'bad');
    }
}

/**
 * For plain-HTTP origins, which have no clipboard API.
 *
 * @param {string} text
 */
function copyBySelection(text) {
    const field = h('textarea', { class: 'offscreen', value: text, readOnly: true });

    document.body.append(field);
    field.select();
    const done = document.execCommand('copy');

    field.remove();
    if (!done) {
        throw new Error('refused');
    }
}

/**
 * Text with Minecraft's colours.
 *
 * @param {string} text
 * @returns {Node[]}
 */
export function coloured(text) {
    return segments(text).map((s) => {
        const classes = [s.colour && `mc-${s.colour}`, s.bold && 'mc-bold', s.italic && 'mc-italic',
                         s.underline && 'mc-underline', s.strike && 'mc-strike'].filter(Boolean);

        return classes.length === 0 ? document.createTextNode(s.text)
                                    : h('span', { class: classes.join(' ') }, s.text);
    });
}

/**
 * A modal dialog; Escape and the cancel button close it.
 *
 * @param {object} options
 * @param {string} options.title
 * @param {any[]} options.content
 * @param {string} options.confirm    the label of the button
 * @param {boolean} [options.danger]
 * @param {(confirm: HTMLButtonElement) => void} [options.ready]
 * @param {() => Promise<void>} options.action   closes the dialog when it succeeds
 */
export function openDialog({ title, content, confirm, danger = false, ready = () => {}, action }) {
    const problem = h('p', { class: 'form-problem', role: 'alert', hidden: true });
    const button = h('button', { class: danger ? 'button danger' : 'button primary', type: 'submit' }, confirm);
    const close = () => dialog.close();

    const submit = async (event) => {
        event.preventDefault();
        button.disabled = true;
        button.classList.add('working');
        try {
            await action();
            close();
        } catch (error) {
            problem.hidden = false;
            setText(problem, error.message);
            button.disabled = false;
        } finally {
            button.classList.remove('working');
        }
    };

    const dialog = h('dialog', { class: 'dialog', 'aria-labelledby': 'dialog-title',
                                 onclose: () => dialog.remove() },
                     h('form', { method: 'dialog', onsubmit: submit },
                       h('h2', { id: 'dialog-title' }, title),
                       content, problem,
                       h('div', { class: 'dialog-buttons' },
                         h('button', { class: 'button', type: 'button', onclick: close }, 'Cancel'),
                         button)));

    document.body.append(dialog);
    ready(button);
    dialog.showModal();
    return dialog;
}

/**
 * A page that has nothing to show.
 *
 * @param {string} title
 * @param {string} text
 * @param {...any} actions
 */
export function emptyState(title, text, ...actions) {
    return h('div', { class: 'empty' },
             h('div', { class: 'empty-blocks', 'aria-hidden': 'true' }, h('i'), h('i'), h('i')),
             h('h2', {}, title),
             h('p', {}, text),
             h('div', { class: 'empty-actions' }, actions));
}
