/** The live log of a server and its command line. */

import { append, h, setText } from '../dom.js';
import { describeState, formatClock, formatDateTime, plural } from '../format.js';
import { icon } from '../icons.js';
import { History } from '../logbuffer.js';
import { isContinuation, parseLogLine, plain } from '../text.js';
import { coloured } from '../ui.js';

const AT_END = 24;              /* this close to the end (pixels) still counts as there */
const MAX_COMMAND = 1000;

/** @type {Map<string, History>} */
const histories = new Map();

/**
 * @param {object} options
 * @param {import('../store.js').Store} options.store
 * @param {string} options.id
 */
export function consolePanel({ store, id }) {
    const buffer = store.consoleOf(id);
    const screen = logScreen(buffer);
    const line = commandLine(store, id);
    const unfollow = store.followLog(id);
    const find = h('input', { type: 'search', placeholder: 'Filter lines', 'aria-label': 'Filter lines' });
    const found = h('span', { class: 'console-found', role: 'status' });
    const wrap = h('button', { class: 'icon-button', type: 'button', title: 'Wrap long lines',
                               'aria-label': 'Wrap long lines', 'aria-pressed': 'true' }, icon('wrap'));
    const wipe = h('button', { class: 'icon-button', type: 'button', title: 'Clear this view',
                               'aria-label': 'Clear this view', onclick: () => buffer.clear() }, icon('eraser'));

    find.addEventListener('input', () => {
        const n = screen.filter(find.value);

        setText(found, find.value === '' ? '' : plural(n, 'line'));
    });
    wrap.addEventListener('click', () => {
        const on = wrap.getAttribute('aria-pressed') !== 'true';

        wrap.setAttribute('aria-pressed', String(on));
        screen.element.classList.toggle('nowrap', !on);
    });

    const note = h('span', { class: 'console-note' });
    const showLive = () => setText(note, store.client.state === 'online' ? ''
        : 'Not live: lines continue where they stopped once the connection is back.');
    const unwatch = store.watch('live', showLive);

    showLive();

    return {
        element: h('section', { class: 'console', 'aria-label': 'Console' },
            h('div', { class: 'console-tools' },
              h('div', { class: 'search' }, icon('search'), find), found, note,
              h('div', { class: 'console-tools-end' }, wrap, wipe)),
            screen.element,
            line.element),
        /** @param {any} server */
        update(server) {
            line.update(server);
            screen.update(server);
        },
        destroy() {
            unfollow();
            unwatch();
            screen.destroy();
        },
    };
}

/**
 * The lines. New ones are added once per frame; what the buffer has dropped
 * is dropped here. It scrolls along unless the reader has scrolled up.
 *
 * @param {import('../logbuffer.js').LogBuffer} buffer
 */
function logScreen(buffer) {
    const lines = h('div', { class: 'log-lines' });
    const begin = h('p', { class: 'log-begin', hidden: true });
    const empty = h('p', { class: 'log-empty' });
    const view = h('div', { class: 'log', role: 'log', 'aria-live': 'off', 'aria-label': 'Server log', tabIndex: 0 },
                   begin, empty, lines);
    const newer = h('button', { class: 'log-newer', type: 'button', hidden: true }, icon('down'), h('span'));
    const element = h('div', { class: 'log-frame' }, view, newer);

    let firstKey = 0;
    let lastKey = 0;
    let frame = 0;
    let words = '';
    let following = true;
    let unseen = 0;

    const toEnd = () => {
        view.scrollTop = view.scrollHeight;
        unseen = 0;
        newer.hidden = true;
    };

    const paint = () => {
        frame = 0;

        const { entries } = buffer;
        const first = entries[0]?.key ?? Infinity;

        if (entries.length === 0) {
            lines.replaceChildren();
        } else {
            while (lines.firstElementChild && firstKey < first) {
                lines.firstElementChild.remove();
                firstKey++;
            }
        }

        firstKey = first;

        let start = entries.length;

        while (start > 0 && entries[start - 1].key > lastKey) {
            start--;
        }

        const fresh = entries.slice(start);

        if (fresh.length > 0) {
            const batch = document.createDocumentFragment();

            batch.append(...fresh.map((entry) => logLine(entry, words)));
            lines.append(batch);
            lastKey = fresh.at(-1).key;
        }

        begin.hidden = !buffer.trimmed || entries.length === 0;
        setText(begin, 'Older lines are not kept here.');
        empty.hidden = entries.length > 0;

        if (following) {
            toEnd();
        } else if (fresh.length > 0) {
            unseen += fresh.length;
            newer.hidden = false;
            setText(newer.lastElementChild, `${plural(unseen, 'new line')}`);
        }
    };

    const schedule = () => {
        frame ||= requestAnimationFrame(paint);
    };

    view.addEventListener('scroll', () => {
        following = view.scrollHeight - view.scrollTop - view.clientHeight < AT_END;
        if (following) {
            unseen = 0;
            newer.hidden = true;
        }
    }, { passive: true });

    newer.addEventListener('click', () => {
        following = true;
        toEnd();
    });

    /* A view that changes its height keeps its end in sight. */
    const sized = new ResizeObserver(() => {
        if (following) {
            toEnd();
        }
    });

    sized.observe(view);

    const unwatch = buffer.watch(schedule);

    schedule();

    return {
        element,
        /**
         * Shows only lines with these words.
         *
         * @param {string} text
         * @returns {number} how many there are
         */
        filter(text) {
            words = text.trim().toLowerCase();

            let n = 0;

            for (const line of lines.children) {
                const hit = matches(line, words);

                line.hidden = !hit;
                n += hit ? 1 : 0;
            }

            if (following) {
                toEnd();
            }

            return n;
        },
        /** @param {any} server */
        update(server) {
            const { state } = describeState(server);

            setText(empty, state === 'Running' ? 'Waiting for the first line…'
                : state === 'Stopped' ? 'The server is stopped. Its log appears here as soon as it starts.'
                    : 'The log appears here as soon as the server writes its first line.');
        },
        destroy() {
            unwatch();
            sized.disconnect();
            cancelAnimationFrame(frame);
        },
    };
}

/**
 * @param {Element} line
 * @param {string} words
 */
const matches = (line, words) => words === '' || line.textContent.toLowerCase().includes(words);

/**
 * @param {import('../logbuffer.js').Entry} entry
 * @param {string} words   the filter that holds
 */
function logLine(entry, words) {
    const { level, text, thread } = entry.kind === 'line' ? parseLogLine(plainPrefix(entry.text))
        : { level: '', text: entry.text, thread: '' };
    const kind = entry.kind !== 'line' ? entry.kind
        : level || (isContinuation(entry.text) ? 'trace' : entry.stream === 'stderr' ? 'warn' : 'text');
    const body = h('span', { class: 'log-text' });
    const time = entry.kind === 'gap' ? null
        : h('time', { datetime: entry.time, title: formatDateTime(entry.time) }, formatClock(entry.time));

    append(body, coloured(text));

    const element = h('div', { class: `log-line log-${kind}`, title: thread || null }, time, body);

    element.hidden = !matches(element, words);
    return element;
}

/**
 * Terminal codes before the "[12:00:00] [Server thread/INFO]:" would hide it.
 *
 * @param {string} line
 */
function plainPrefix(line) {
    const bare = plain(line);

    return parseLogLine(bare).level !== '' && parseLogLine(line).level === '' ? bare : line;
}

/**
 * @param {import('../store.js').Store} store
 * @param {string} id
 */
function commandLine(store, id) {
    const history = histories.get(id) ?? new History();
    const input = h('input', { type: 'text', 'aria-label': 'Command', maxlength: MAX_COMMAND, autocomplete: 'off',
                               autocapitalize: 'none', spellcheck: 'false', enterkeyhint: 'send' });
    const send = h('button', { class: 'console-send', type: 'submit' }, 'Send');

    histories.set(id, history);

    const submit = async (event) => {
        event.preventDefault();

        const command = input.value.trim().replace(/^\//, '');

        if (command === '' || input.disabled) {
            return;
        }

        history.push(command);
        input.value = '';
        send.classList.add('working');
        await store.command(id, command);
        send.classList.remove('working');
    };

    input.addEventListener('keydown', (event) => {
        const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];

        if (step === undefined) {
            return;
        }

        const text = history.move(step, input.value);

        event.preventDefault();
        if (text !== null) {
            input.value = text;
            input.setSelectionRange(text.length, text.length);
        }
    });

    return {
        element: h('form', { class: 'console-line', onsubmit: submit },
                   h('span', { class: 'console-prompt', 'aria-hidden': 'true' }, '>'), input, send),
        /** @param {any} server */
        update(server) {
            const { state } = describeState(server);
            const usable = state === 'Running' && store.mayOperate;

            input.disabled = send.disabled = !usable;
            input.placeholder = usable ? 'Type a command, like “list” or “say hello”'
                : !store.mayOperate ? 'Your key may read this console, not write to it'
                    : 'Commands can be sent while the server is running';
        },
    };
}
