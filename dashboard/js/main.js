/** Signs in, builds the page around the views, and shows the one of the route. */

import { Api } from './api.js';
import { Client } from './client.js';
import { h } from './dom.js';
import { go, watchRoute } from './router.js';
import { Store } from './store.js';
import { emptyState } from './ui.js';
import { createView } from './views/create.js';
import { serverView } from './views/server.js';
import { serversView } from './views/servers.js';
import { shell } from './views/shell.js';
import { signInView } from './views/signin.js';

const KEY = 'mchost.key';

const app = document.getElementById('app');

/** @type {Store|null} */
let store = null;

/**
 * @param {string} [notice]   why one has to sign in (again)
 */
function showSignIn(notice = '') {
    document.title = 'Sign in · mchost';
    app.replaceChildren(signInView({ notice, signIn }));
    app.querySelector('input')?.focus();
}

/**
 * Tries a key; what is wrong with it is the caller's to show.
 *
 * @param {string} token
 */
async function signIn(token) {
    const me = await new Api(token).me();

    sessionStorage.setItem(KEY, token);
    enter(token, me);
}

/**
 * @param {string} [notice]
 */
function signOut(notice = '') {
    sessionStorage.removeItem(KEY);
    leave();
    showSignIn(notice);
}

/** Takes the signed-in page down. */
let leave = () => {};

/**
 * @param {string} token
 * @param {any} me
 */
function enter(token, me) {
    const refused = () => signOut('This API key is not valid any more. It was revoked or has expired.');
    const api = new Api(token, refused);
    const url = new URL('/api/v1/ws', location.href);

    url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';

    const client = new Client({ url: url.href, token });
    const frame = shell({ store: store = new Store(api, client, me), signOut: () => signOut() });
    let view = null;

    client.on('denied', refused);
    app.replaceChildren(frame.element);
    store.start();

    const unwatch = watchRoute((route) => {
        if (view?.keep?.(route)) {
            return;
        }

        view?.destroy?.();
        view = viewOf(route, store);
        document.title = `${view.title} · mchost`;
        frame.show(view.element, route);
    });

    const wake = () => {
        if (!document.hidden && client.state === 'waiting') {
            client.connect();           /* back from sleep or offline */
        }
    };

    document.addEventListener('visibilitychange', wake);
    window.addEventListener('online', wake);

    leave = () => {
        unwatch();
        view?.destroy?.();
        frame.destroy();
        store.stop();
        store = null;
        document.removeEventListener('visibilitychange', wake);
        window.removeEventListener('online', wake);
        leave = () => {};
    };
}

/**
 * @param {import('./router.js').Route} route
 * @param {Store} store
 * @returns {{element: Element, title: string, destroy?: () => void, keep?: (route: any) => boolean}}
 */
function viewOf(route, store) {
    switch (route.name) {
    case 'servers':
        return serversView({ store });

    case 'create':
        return createView({ store });

    case 'server':
        return serverView({ store, route });

    default:
        return {
            title: 'Not found',
            element: emptyState('There is nothing here', 'The address does not lead to a page of this dashboard.',
                                h('button', { class: 'button primary', type: 'button',
                                              onclick: () => go('#/servers') }, 'To the servers')),
        };
    }
}

/** Continues the session of this tab, or asks for a key. */
async function begin() {
    const token = sessionStorage.getItem(KEY);

    if (token === null) {
        showSignIn();
        return;
    }

    try {
        await signIn(token);
    } catch (error) {
        if (error.status === 401 || error.status === 403) {
            signOut('This API key is not valid any more. It was revoked or has expired.');
        } else {
            app.replaceChildren(emptyState('The platform does not answer', error.message,
                                           h('button', { class: 'button primary', type: 'button', onclick: begin }, 'Try again'),
                                           h('button', { class: 'button', type: 'button', onclick: () => signOut() }, 'Sign out')));
        }
    }
}

begin();
