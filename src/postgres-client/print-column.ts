/** How a column is selected so that its text is what was stored: xml prints itself without its default declaration. */
const printedAs: Readonly<Record<string, string>> = { xml: '::text', 'xml[]': '::text[]' };

/** @param column as SQL writes it, with its relation */
export const printed = (column: string, typeName: string): string => column + (printedAs[typeName] ?? '');
