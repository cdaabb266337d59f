/** One server: its head, and under it the console or the settings. */

import { h, setText } from '../dom.js';
import { describeConditions, describeState, formatAgo, formatDateTime, formatDuration, formatQuantity,
         formatSoftware, possibleActions } from '../format.js';
import { icon, texture } from '../icons.js';
import { serverLink } from '../router.js';
import { addressField, emptyState, playersMeter, statePill, toastError } from '../ui.js';
import { consolePanel } from './console.js';
import { settingsPanel } from './settings.js';

/**
 * @param {object} options
 * @param {import('../store.js').Store} options.store
 * @param {import('../router.js').Route} options.route
 */
export function serverView({ store, route }) {
    const { id } = route;
    const element = h('div', { class: 'page' });
    const view = { title: 'Server', element, destroy, keep };
    let tab = route.tab;
    let head = null;
    let panel = null;
    let absent = '';

    const update = () => {
        const server = store.servers.get(id);

        if (server === undefined) {
            showAbsent();
            return;
        }

        absent = '';
        if (head === null) {
            build(server);
        }

        view.title = server.spec?.displayName || server.name;
        head.update(server, tab);
        panel.update(server);
    };

    const unwatch = store.watch(id, update);
    const unwatchList = store.watch('servers', () => {
        if (head === null) {
            update();
        }
    });
    const ticker = setInterval(() => {
        const server = store.servers.get(id);

        if (server !== undefined && !document.hidden) {
            panel?.tick?.(server);
        }
    }, 1000);

    if (!store.servers.has(id)) {
        store.fetch(id).catch((error) => toastError(error));
    }

    update();
    return view;

    /** @param {any} server */
    function build(server) {
        head = serverHead(store, id);
        panel?.destroy();
        panel = tab === 'settings' ? settingsPanel({ store, server }) : overview(store, id);
        element.replaceChildren(head.element, panel.element);
    }

    function showAbsent() {
        const state = store.loaded || head !== null ? 'gone' : 'loading';

        if (absent === state) {
            return;
        }

        absent = state;
        panel?.destroy();
        head = panel = null;
        element.replaceChildren(state === 'loading'
            ? h('div', { class: 'skeleton', 'aria-hidden': 'true' }, h('div', { class: 'skeleton-row' }, h('i'), h('b'), h('u')))
            : emptyState('This server is gone', 'It was deleted, or it belongs to another account.',
                         h('a', { class: 'button primary', href: '#/servers' }, 'To the servers')));
    }

    /**
     * Another tab of the same server: only the panel changes.
     *
     * @param {import('../router.js').Route} next
     */
    function keep(next) {
        if (next.name !== 'server' || next.id !== id) {
            return false;
        }

        if (next.tab !== tab) {
            tab = next.tab;
            head = null;
            update();
        }

        return true;
    }

    function destroy() {
        unwatch();
        unwatchList();
        clearInterval(ticker);
        panel?.destroy();
    }
}

/**
 * @param {import('../store.js').Store} store
 * @param {string} id
 */
function serverHead(store, id) {
    const title = h('h1');
    const sub = h('p', { class: 'page-summary' });
    const pill = statePill();
    const actions = actionButtons(store, id);
    const links = [['console', 'Console'], ['settings', 'Settings']].map(([name, label]) =>
        [name, h('a', { href: serverLink(id, name) }, label)]);

    return {
        element: h('div', { class: 'server-head' },
            h('nav', { class: 'crumbs', 'aria-label': 'Breadcrumb' },
              h('a', { href: '#/servers' }, icon('back'), 'Servers')),
            h('div', { class: 'page-head' },
              h('div', { class: 'server-title' },
                texture(id),
                h('div', {}, h('div', { class: 'title-row' }, title, h('span', { role: 'status' }, pill.element)), sub)),
              actions.element),
            h('nav', { class: 'tabs', 'aria-label': 'Server' }, links.map(([, link]) => link))),
        /**
         * @param {any} server
         * @param {string} tab
         */
        update(server, tab) {
            setText(title, server.spec?.displayName || server.name);
            setText(sub, [server.spec?.displayName ? server.name : '', formatSoftware(server)]
                .filter(Boolean).join(' · '));
            pill.update(server, store.pending.get(id));
            actions.update(server);
            for (const [name, link] of links) {
                if (name === tab) {
                    link.setAttribute('aria-current', 'page');
                } else {
                    link.removeAttribute('aria-current');
                }
            }
        },
    };
}

/**
 * @param {import('../store.js').Store} store
 * @param {string} id
 */
function actionButtons(store, id) {
    const act = (action, failed) => async () => {
        try {
            await store.act(id, action);
        } catch (error) {
            toastError(error, failed);
        }
    };

    const buttons = {
        start: h('button', { class: 'button primary', type: 'button',
                             onclick: act('start', 'The server was not started.') }, icon('play'), 'Start'),
        restart: h('button', { class: 'button', type: 'button',
                               onclick: act('restart', 'The server was not restarted.') }, icon('restart'), 'Restart'),
        stop: h('button', { class: 'button', type: 'button',
                            onclick: act('stop', 'The server was not stopped.') }, icon('stop'), 'Stop'),
    };

    return {
        element: h('div', { class: 'button-row' }, Object.values(buttons)),
        /** @param {any} server */
        update(server) {
            const can = possibleActions(server);
            const pending = store.pending.get(id);

            for (const [name, button] of Object.entries(buttons)) {
                button.hidden = !store.mayOperate || (pending ? pending.action !== name : !can[name]);
                button.disabled = pending !== undefined;
                button.classList.toggle('working', pending?.action === name);
            }
        },
    };
}

/**
 * The console with the facts beside it.
 *
 * @param {import('../store.js').Store} store
 * @param {string} id
 */
function overview(store, id) {
    const log = consolePanel({ store, id });
    const facts = factsPanel();

    return {
        element: h('div', { class: 'overview' }, log.element, facts.element),
        /** @param {any} server */
        update(server) {
            log.update(server);
            facts.update(server);
        },
        /** @param {any} server */
        tick(server) {
            facts.tick(server);
        },
        destroy() {
            log.destroy();
        },
    };
}

function factsPanel() {
    const address = addressField();
    const players = playersMeter();
    const values = new Map();
    const conditions = h('ul', { class: 'conditions' });
    const message = h('p', { class: 'fact-message' });
    let shown = '';

    const fact = (name, label, content = h('span'), lesser = false) => {
        values.set(name, content);
        return h('div', { class: lesser ? 'fact fact-lesser' : 'fact' }, h('dt', {}, label), h('dd', {}, content));
    };

    const element = h('aside', { class: 'facts', 'aria-label': 'About this server' },
        h('section', { class: 'card' },
          h('dl', {},
            fact('address', 'Address', address.element),
            fact('players', 'Players', players.element),
            fact('uptime', 'Running for'),
            fact('memory', 'Memory'),
            fact('mode', 'Game', h('span'), true),
            fact('created', 'Created', h('span'), true))),
        h('section', { class: 'card card-conditions' }, h('h2', {}, 'Condition'), message, conditions));

    return {
        element,
        /** @param {any} server */
        update(server) {
            const { properties = {}, resources = {} } = server.spec ?? {};
            const said = describeConditions(server);
            const now = JSON.stringify(said);

            address.update(server);
            players.update(server);
            setText(values.get('memory'), formatQuantity(resources.memory));
            setText(values.get('mode'), [properties.hardcore ? 'hardcore' : properties.gameMode, properties.difficulty]
                .filter(Boolean).join(', ') || '–');
            setText(values.get('created'), formatDateTime(server.createdAt));
            this.tick(server);

            const text = said.length === 0 ? server.status?.message || 'Nothing is known about this server yet.' : '';

            setText(message, text);
            message.hidden = text === '';

            if (now !== shown) {
                shown = now;
                conditions.replaceChildren(...said.map(conditionItem));
            }
        },
        /** @param {any} server */
        tick(server) {
            const started = Date.parse(server.status?.startedAt ?? '');
            const up = describeState(server).state === 'Running' && !Number.isNaN(started);

            setText(values.get('uptime'), up ? formatDuration(Date.now() - started) : '–');
        },
    };
}

/** @param {ReturnType<typeof describeConditions>[0]} item */
function conditionItem(item) {
    const since = item.since && item.tone !== 'good'
        ? h('p', { class: 'muted', title: formatDateTime(item.since) }, formatAgo(item.since, Date.now())) : null;

    return h('li', { class: `tone-${item.tone}` },
             h('span', { class: 'dot', 'aria-hidden': 'true' }),
             h('div', {}, h('p', {}, item.text), item.detail ? h('p', { class: 'muted' }, item.detail) : null, since));
}
