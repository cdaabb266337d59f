/** What is around every view: the bar above, connection, notices. */

import { h, setText } from '../dom.js';
import { icon, logo } from '../icons.js';

const THEMES = ['system', 'light', 'dark'];
const THEME_ICON = { system: 'system', light: 'sun', dark: 'moon' };

/**
 * @param {object} options
 * @param {import('../store.js').Store} options.store
 * @param {() => void} options.signOut
 */
export function shell({ store, signOut }) {
    const live = liveIndicator(store);
    const banner = healthBanner(store);
    const main = h('main', { id: 'main', class: 'main', tabIndex: -1 });
    const { tenant, key } = store.me;

    const element = h('div', { class: 'shell' },
        h('header', { class: 'bar' },
          h('a', { class: 'brand', href: '#/servers', 'aria-label': 'mchost, to the servers' },
            logo(), h('span', {}, 'mchost')),
          h('span', { class: 'tenant', title: `Key “${key.name}”, role ${key.role}` }, tenant.name),
          h('div', { class: 'bar-end' },
            live.element,
            themeButton(),
            h('button', { class: 'button quiet', type: 'button', 'aria-label': 'Sign out', onclick: signOut },
              icon('out'), h('span', { class: 'wide-only' }, 'Sign out')))),
        banner.element,
        main);

    let shown = '';

    return {
        element,
        /**
         * @param {Element} view
         * @param {import('../router.js').Route} route
         */
        show(view, route) {
            const place = `${route.name} ${route.id ?? ''}`;

            main.replaceChildren(view);
            if (shown !== '' && place !== shown) {
                window.scrollTo(0, 0);
                main.focus({ preventScroll: true });    /* a screen reader begins here */
            }

            shown = place;
        },
        destroy() {
            live.destroy();
            banner.destroy();
        },
    };
}

/** @param {import('../store.js').Store} store */
function liveIndicator(store) {
    const text = h('span', { class: 'live-text' });
    const element = h('button', { class: 'live', type: 'button' },
                      h('span', { class: 'dot', 'aria-hidden': 'true' }),
                      h('span', { role: 'status' }, text));

    element.addEventListener('click', () => store.client.connect());

    const update = () => {
        const { state, retryAt } = store.client;
        const seconds = Math.max(0, Math.ceil((retryAt - Date.now()) / 1000));
        const [label, tone, title] = {
            online: ['Live', 'good', 'Changes show up here at once.'],
            connecting: ['Connecting', 'busy', 'Connecting to the live channel.'],
            idle: ['Connecting', 'busy', 'Connecting to the live channel.'],
            waiting: ['Reconnecting', 'warn',
                      `The live channel is interrupted; next attempt in ${seconds} s. Press to try now.`],
            stopped: ['Offline', 'bad', 'The live channel is closed.'],
        }[state];

        element.className = `live tone-${tone}`;
        element.title = title;
        setText(text, label);
    };

    update();
    return { element, destroy: store.watch('live', update) };
}

/** @param {import('../store.js').Store} store */
function healthBanner(store) {
    const text = h('p');
    const element = h('div', { class: 'banner', role: 'status' }, icon('warning'), text);

    const update = () => {
        const shown = store.health !== 'ok';

        element.hidden = !shown;
        setText(text, shown ? `${store.health} Your servers keep running; what you see here may be out of date.` : '');
    };

    update();
    return { element, destroy: store.watch('health', update) };
}

function themeButton() {
    const button = h('button', { class: 'icon-button', type: 'button' });

    const read = () => {
        const theme = document.documentElement.dataset.theme;

        return THEMES.includes(theme) ? theme : 'system';
    };

    const update = () => {
        const theme = read();

        button.replaceChildren(icon(THEME_ICON[theme]));
        button.title = `Theme: ${theme}`;
        button.setAttribute('aria-label', `Theme: ${theme}. Change theme`);
    };

    button.addEventListener('click', () => {
        const next = THEMES[(THEMES.indexOf(read()) + 1) % THEMES.length];

        if (next === 'system') {
            delete document.documentElement.dataset.theme;
        } else {
            document.documentElement.dataset.theme = next;
        }

        try {
            if (next === 'system') {
                localStorage.removeItem('mchost.theme');
            } else {
                localStorage.setItem('mchost.theme', next);
            }
        } catch {
            /* not remembered, then */
        }

        update();
    });

    update();
    return button;
}
