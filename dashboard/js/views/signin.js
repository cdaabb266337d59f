/** The page that asks for an API key. */

import { h, setText } from '../dom.js';
import { icon, logo } from '../icons.js';
import { scene } from '../scene.js';

/**
 * @param {object} options
 * @param {string} options.notice
 * @param {(token: string) => Promise<void>} options.signIn
 */
export function signInView({ notice, signIn }) {
    const fault = h('p', { class: 'field-fault', id: 'key-fault', role: 'alert', hidden: true });
    const field = h('input', { id: 'key', name: 'key', type: 'password', required: true,
                               autocomplete: 'off', autocapitalize: 'none', spellcheck: 'false',
                               placeholder: 'mch_…', 'aria-describedby': 'key-hint key-fault' });
    const reveal = h('button', { class: 'text-button', type: 'button', 'aria-pressed': 'false' }, 'Show');
    const button = h('button', { class: 'button primary wide', type: 'submit' }, icon('key'), 'Sign in');

    reveal.addEventListener('click', () => {
        const shown = field.type === 'text';

        field.type = shown ? 'password' : 'text';
        setText(reveal, shown ? 'Show' : 'Hide');
        reveal.setAttribute('aria-pressed', String(!shown));
    });

    const say = (text) => {
        setText(fault, text);
        fault.hidden = text === '';
        field.setAttribute('aria-invalid', String(text !== ''));
    };

    field.addEventListener('input', () => say(''));

    const submit = async (event) => {
        event.preventDefault();

        const token = field.value.trim();

        if (token === '') {
            say('Enter an API key.');
            field.focus();
            return;
        }

        if (!/^[\x21-\x7e]+$/.test(token)) {
            say('An API key has no spaces in it. Was it copied as a whole?');
            return;
        }

        button.disabled = true;
        button.classList.add('working');
        try {
            await signIn(token);
        } catch (error) {
            say(error.status === 401 ? 'This key is not known. It may be mistyped, revoked or expired.' : error.message);
            button.disabled = false;
            button.classList.remove('working');
            field.focus();
        }
    };

    return h('div', { class: 'signin' },
             h('div', { class: 'signin-picture' }, scene()),
             h('main', { class: 'signin-card', id: 'main' },
               h('div', { class: 'brand brand-large' }, logo(), h('span', {}, 'mchost')),
               h('h1', {}, 'Sign in'),
               notice ? h('p', { class: 'notice', role: 'status' }, notice) : null,
               h('form', { onsubmit: submit, novalidate: true },
                 h('div', { class: 'field' },
                   h('div', { class: 'label-row' }, h('label', { htmlFor: 'key' }, 'API key'), reveal),
                   field, fault,
                   h('p', { class: 'field-hint', id: 'key-hint' },
                     'Kept in this tab only, and gone when you close it.')),
                 button)));
}
