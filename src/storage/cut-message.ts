/** Error messages are for people: longer ones are cut. */
export const cutMessage = (message: string): string => message.slice(0, 2_000);
