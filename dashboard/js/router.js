/**
 * Routes are in the fragment: "#/servers", "#/servers/<id>/settings", so that
 * the page can be served as plain files.
 */

/**
 * @typedef {object} Route
 * @property {'servers'|'create'|'server'|'missing'} name
 * @property {string} [id]
 * @property {'console'|'settings'} [tab]
 */

/**
 * @param {string} hash
 * @returns {Route}
 */
export function parseRoute(hash) {
    const parts = hash.replace(/^#?\/?/, '').split('/').filter((part) => part !== '');

    if (parts.length === 0 || (parts[0] === 'servers' && parts.length === 1)) {
        return { name: 'servers' };
    }

    if (parts[0] !== 'servers' || parts.length > 3) {
        return { name: 'missing' };
    }

    if (parts[1] === 'new' && parts.length === 2) {
        return { name: 'create' };
    }

    if (!/^[0-9a-f-]{36}$/i.test(parts[1])) {
        return { name: 'missing' };
    }

    const tab = parts[2] ?? 'console';

    return tab === 'console' || tab === 'settings'
        ? { name: 'server', id: parts[1].toLowerCase(), tab }
        : { name: 'missing' };
}

/**
 * @param {string} id
 * @param {'console'|'settings'} [tab]
 */
export const serverLink = (id, tab = 'console') =>
    `#/servers/${id}${tab === 'console' ? '' : `/${tab}`}`;

/** @param {string} hash */
export function go(hash) {
    location.hash = hash;
}

/**
 * @param {(route: Route) => void} show   called now and at every change
 * @returns {() => void} stops
 */
export function watchRoute(show) {
    const changed = () => show(parseRoute(location.hash));

    window.addEventListener('hashchange', changed);
    changed();
    return () => window.removeEventListener('hashchange', changed);
}
