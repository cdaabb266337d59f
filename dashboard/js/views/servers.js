/** The list of servers. */

import { h, reconcile, setText } from '../dom.js';
import { describeState, formatSoftware, headline, plural, possibleActions } from '../format.js';
import { icon, texture } from '../icons.js';
import { serverLink } from '../router.js';
import { addressField, emptyState, playersMeter, statePill, toastError } from '../ui.js';

/** @type {[string, string, (server: any) => boolean][]} */
const FILTERS = [
    ['all', 'All', () => true],
    ['running', 'Running', (s) => describeState(s).state === 'Running'],
    ['stopped', 'Stopped', (s) => ['Stopped', 'Hibernated'].includes(describeState(s).state)],
    ['attention', 'Needs attention', (s) => ['bad', 'warn'].includes(describeState(s).tone)],
];

/* Kept while the tab lives: coming back from a server finds the list as it was. */
const chosen = { text: '', filter: 'all' };

/**
 * @param {object} options
 * @param {import('../store.js').Store} options.store
 */
export function serversView({ store }) {
    const summary = h('p', { class: 'page-summary', role: 'status' });
    const list = h('ul', { class: 'server-list', 'aria-label': 'Servers' });
    const around = h('div', { class: 'list-around' });
    const rows = new Map();
    const search = h('input', { type: 'search', placeholder: 'Find a server', 'aria-label': 'Find a server',
                                value: chosen.text });
    const tabs = filterTabs(() => update());
    const tools = h('div', { class: 'list-tools' },
                    h('div', { class: 'search' }, icon('search'), search), tabs.element);

    search.addEventListener('input', () => {
        chosen.text = search.value;
        update();
    });

    const create = () => h('a', { class: 'button primary', href: '#/servers/new' }, icon('plus'), 'New server');

    const update = () => {
        const all = store.list();
        const filter = FILTERS.find(([name]) => name === chosen.filter)[2];
        const shown = all.filter((s) => filter(s) && matches(s, chosen.text));

        setText(summary, summarise(all, store));
        tools.hidden = all.length === 0;
        list.hidden = shown.length === 0;
        tabs.update(all);
        reconcile(list, shown, (s) => s.id, () => row(store), rows);
        around.replaceChildren(...[nothingToShow(store, all, shown)].filter(Boolean));
    };

    const onkey = (event) => {
        const typing = event.target.closest?.('input, textarea, select, dialog');

        if (event.key === '/' && !typing && !event.ctrlKey && !event.metaKey) {
            event.preventDefault();
            search.focus();
        }
    };

    const unwatch = [store.watch('servers', update), store.watch('live', update)];

    document.addEventListener('keydown', onkey);
    update();

    return {
        title: 'Servers',
        element: h('div', { class: 'page' },
                   h('div', { class: 'page-head list-head' },
                     h('div', {}, h('h1', {}, 'Servers'), summary),
                     store.mayManage ? create() : null),
                   tools, list, around),
        destroy() {
            unwatch.forEach((fn) => fn());
            document.removeEventListener('keydown', onkey);
        },
    };

    /**
     * @param {import('../store.js').Store} store
     * @param {any[]} all
     * @param {any[]} shown
     */
    function nothingToShow(store, all, shown) {
        if (shown.length > 0) {
            return null;
        }

        if (!store.loaded) {
            return store.loadError === null ? skeleton()
                : emptyState('The list could not be loaded', store.loadError.message,
                             h('button', { class: 'button primary', type: 'button',
                                           onclick: () => store.refresh() }, 'Try again'));
        }

        if (all.length === 0) {
            return emptyState('No servers yet',
                              'A server takes a minute to set up: a name, a version, and you can invite your players.',
                              store.mayManage ? create() : null);
        }

        return emptyState('No server matches', 'Nothing fits this search and filter.',
                          h('button', { class: 'button', type: 'button', onclick: () => {
                              chosen.text = search.value = '';
                              chosen.filter = 'all';
                              update();
                          } }, 'Show all'));
    }
}

/**
 * @param {any} server
 * @param {string} text
 */
function matches(server, text) {
    const hay = [server.name, server.spec?.displayName, formatSoftware(server), server.id]
        .join(' ').toLowerCase();

    return text.toLowerCase().split(/\s+/).every((word) => hay.includes(word));
}

/**
 * @param {any[]} all
 * @param {import('../store.js').Store} store
 */
function summarise(all, store) {
    if (!store.loaded) {
        return 'Loading…';
    }

    const running = all.filter((s) => describeState(s).state === 'Running');
    const players = running.reduce((sum, s) => sum + (s.status?.players?.online ?? 0), 0);

    return all.length === 0 ? 'Nothing here so far.'
        : `${running.length} of ${all.length} running, ${plural(players, 'player')} online`;
}

/** @param {() => void} changed */
function filterTabs(changed) {
    const counts = new Map();
    const buttons = FILTERS.map(([name, label]) => {
        const count = h('span', { class: 'count' });

        counts.set(name, count);
        return h('button', { type: 'button', 'data-filter': name,
                             onclick: () => { chosen.filter = name; changed(); } }, label, count);
    });

    return {
        element: h('div', { class: 'segments', role: 'group', 'aria-label': 'Filter' }, buttons),
        /** @param {any[]} all */
        update(all) {
            FILTERS.forEach(([name, , test], i) => {
                setText(counts.get(name), String(all.filter(test).length));
                buttons[i].setAttribute('aria-pressed', String(chosen.filter === name));
            });
        },
    };
}

/** @param {import('../store.js').Store} store */
function row(store) {
    const name = h('a', { class: 'row-name' });
    const sub = h('p', { class: 'row-sub' });
    const note = h('p', { class: 'row-note' });
    const picture = h('div', { class: 'row-picture' });
    const pill = statePill();
    const players = playersMeter();
    const address = addressField();
    const buttons = quickButtons(store);
    let painted = '';

    const element = h('li', { class: 'row' },
        picture,
        h('div', { class: 'row-main' }, name, sub),
        h('div', { class: 'row-state' }, pill.element),
        h('div', { class: 'row-players' }, players.element),
        h('div', { class: 'row-address' }, address.element),
        h('div', { class: 'row-buttons' }, buttons.element),
        note);

    return {
        element,
        /** @param {any} server */
        update(server) {
            const text = headline(server);

            if (painted !== server.id) {
                painted = server.id;
                picture.replaceChildren(texture(server.id));
                name.href = serverLink(server.id);
            }

            setText(name, server.spec?.displayName || server.name);
            setText(sub, [server.spec?.displayName ? server.name : '', formatSoftware(server)]
                .filter(Boolean).join(' · '));
            setText(note, text);
            note.hidden = text === '';
            note.className = `row-note tone-${describeState(server).tone === 'bad' ? 'bad' : 'warn'}`;
            element.dataset.state = describeState(server).state;
            pill.update(server, store.pending.get(server.id));
            players.update(server);
            address.update(server);
            buttons.update(server);
        },
    };
}

/** @param {import('../store.js').Store} store */
function quickButtons(store) {
    let server = null;

    const act = (action) => async () => {
        try {
            await store.act(server.id, action);
        } catch (error) {
            toastError(error, `${server.name}: the server was not ${action === 'stop' ? 'stopped' : 'started'}.`);
        }
    };

    const start = h('button', { class: 'icon-button', type: 'button', onclick: act('start') }, icon('play'));
    const stop = h('button', { class: 'icon-button', type: 'button', onclick: act('stop') }, icon('stop'));

    return {
        element: h('div', { class: 'button-row' }, start, stop),
        /** @param {any} next */
        update(next) {
            server = next;
            const can = possibleActions(next);
            const busy = store.pending.has(next.id) || !store.mayOperate;

            start.hidden = !can.start;
            stop.hidden = !can.stop;
            start.disabled = stop.disabled = busy;
            start.title = `Start ${next.name}`;
            stop.title = `Stop ${next.name}`;
            start.setAttribute('aria-label', start.title);
            stop.setAttribute('aria-label', stop.title);
        },
    };
}

function skeleton() {
    return h('div', { class: 'skeleton', 'aria-hidden': 'true' },
             [0, 1, 2, 3].map(() => h('div', { class: 'skeleton-row' }, h('i'), h('b'), h('u'))));
}
