/** Form controls made from field specifications, with faults beside them. */

import { append, h, setText, uniqueId } from './dom.js';
import { fieldFor } from './fields.js';
import { coloured } from './ui.js';
import { texture } from './icons.js';

/**
 * @typedef {object} Field
 * @property {Element} element
 * @property {HTMLElement} control
 * @property {string} pointer
 * @property {() => any} get       the value, or undefined when it is unusable
 * @property {(value: any) => void} set
 * @property {(text: string) => void} fault   "" takes it away
 */

/**
 * @param {import('./fields.js').FieldSpec} spec
 * @param {any} [value]
 * @returns {Field}
 */
export function makeField(spec, value = spec.initial) {
    const id = uniqueId('field');
    const fault = h('p', { class: 'field-fault', id: `${id}-fault`, hidden: true });
    const hint = spec.hint ? h('p', { class: 'field-hint', id: `${id}-hint` }, spec.hint) : null;
    const { control, read, write, extra } = makeControl(spec, id);

    control.setAttribute('aria-describedby', [hint && `${id}-hint`, `${id}-fault`].filter(Boolean).join(' '));
    write(value);

    const label = h('label', { htmlFor: id }, spec.label);
    const element = spec.kind === 'switch'
        ? h('div', { class: 'field field-switch' }, control, h('div', {}, label, hint, fault))
        : h('div', { class: `field field-${spec.kind}` }, label, control, extra, hint, fault);

    const field = {
        element, control, pointer: spec.pointer, set: write,
        get() {
            return read();
        },
        fault(text) {
            setText(fault, text);
            fault.hidden = text === '';
            control.setAttribute('aria-invalid', String(text !== ''));
            element.classList.toggle('field-invalid', text !== '');
        },
    };

    control.addEventListener('input', () => field.fault(''));
    return field;
}

/**
 * @param {import('./fields.js').FieldSpec} spec
 * @param {string} id
 * @returns {{control: any, read: () => any, write: (value: any) => void, extra?: any}}
 */
function makeControl(spec, id) {
    switch (spec.kind) {
    case 'select': {
        const control = h('select', { id, name: id },
                          spec.options.map(([value, label]) => h('option', { value }, label)));

        return { control, read: () => control.value, write: (value) => select(control, value) };
    }

    case 'switch': {
        const control = h('input', { id, type: 'checkbox', role: 'switch', class: 'switch' });

        return { control, read: () => control.checked, write: (value) => { control.checked = Boolean(value); } };
    }

    case 'number': {
        const control = h('input', { id, type: 'number', min: spec.min, max: spec.max, step: 1,
                                     inputmode: 'numeric' });

        return { control, write: (value) => { control.value = String(value ?? ''); },
                 read: () => (control.value.trim() === '' ? undefined : Number(control.value)) };
    }

    case 'motd': {
        const control = h('textarea', { id, rows: 2, maxlength: spec.maxLength, spellcheck: 'false' });

        return { control, read: () => control.value, write: (value) => { control.value = value ?? ''; } };
    }

    default: {
        const list = spec.suggestions
            ? h('datalist', { id: `${id}-list` }, spec.suggestions.map((value) => h('option', { value })))
            : null;
        const control = h('input', { id, type: 'text', maxlength: spec.maxLength, placeholder: spec.placeholder,
                                     autocomplete: 'off', autocapitalize: 'none', spellcheck: 'false',
                                     list: list && list.id });

        return { control, extra: list, read: () => control.value.trim(),
                 write: (value) => { control.value = value ?? ''; } };
    }
    }
}

/**
 * Chooses an option; a value that is not among them becomes one.
 *
 * @param {HTMLSelectElement} control
 * @param {any} value
 */
function select(control, value) {
    if (value !== undefined && ![...control.options].some((option) => option.value === value)) {
        control.append(h('option', { value }, value));
    }

    control.value = value ?? control.options[0].value;
}

/**
 * Puts every fault beside its field, the rest into a summary above the form,
 * and the cursor into the first field that has one.
 *
 * @param {Iterable<Field>} fields
 * @param {Element} summary
 * @param {any} error   an ApiError
 */
export function showFaults(fields, summary, error) {
    const byPointer = new Map([...fields].map((field) => [field.pointer, field]));
    const texts = new Map();
    const rest = [];

    for (const fault of error.faults ?? []) {
        const field = fieldFor(fault.pointer ?? '', byPointer);

        if (field === undefined) {
            rest.push(`${fault.pointer ? `${fault.pointer}: ` : ''}${fault.message}`);
        } else {
            texts.set(field, [...(texts.get(field) ?? []), sentence(fault.message)]);
        }
    }

    for (const field of byPointer.values()) {
        field.fault((texts.get(field) ?? []).join(' '));
    }

    const first = [...byPointer.values()].find((field) => texts.has(field));
    const said = texts.size > 0 && rest.length === 0
        ? 'Some fields need attention.'
        : [error.message, ...rest].join(' ');

    setText(summary, said);
    summary.hidden = false;

    if (first !== undefined) {
        first.control.closest('details')?.setAttribute('open', '');
        first.control.focus();
    } else {
        summary.scrollIntoView({ block: 'center' });
    }
}

/** @param {string} text */
function sentence(text) {
    return text === '' ? '' : text[0].toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? '' : '.');
}

/**
 * How the server will look in the game's multiplayer list.
 */
export function motdPreview() {
    const name = h('span', { class: 'motd-name' });
    const players = h('span', { class: 'motd-players' });
    const lines = h('div', { class: 'motd-lines' });
    const picture = h('div', { class: 'motd-picture', 'aria-hidden': 'true' });
    const element = h('figure', { class: 'motd', 'aria-label': 'Preview in the multiplayer list' },
                      picture,
                      h('div', { class: 'motd-text' },
                        h('div', { class: 'motd-head' }, name, players,
                          h('span', { class: 'motd-bars', 'aria-hidden': 'true' }, h('i'), h('i'), h('i'), h('i'), h('i'))),
                        lines));
    let seed = null;

    return {
        element,
        /**
         * @param {{seed: string, name: string, motd: string, max: any, online?: number}} value
         */
        update(value) {
            if (seed !== value.seed) {
                seed = value.seed;
                picture.replaceChildren(texture(seed));
            }

            setText(name, value.name || 'Minecraft Server');
            setText(players, `${value.online ?? 0}/${value.max ?? '?'}`);
            lines.replaceChildren();
            for (const line of value.motd.split(/\n|\\n/).slice(0, 2)) {
                const row = h('div');

                append(row, coloured(line));
                lines.append(row);
            }
        },
    };
}
