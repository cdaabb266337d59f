/*
 * Runs before the page is painted (a classic script in the head): a theme
 * chosen by hand wins over the system's.
 */
(() => {
    'use strict';

    try {
        const theme = localStorage.getItem('mchost.theme');

        if (theme === 'light' || theme === 'dark') {
            document.documentElement.dataset.theme = theme;
        }
    } catch {
        /* no storage: the system's theme it is */
    }
})();
