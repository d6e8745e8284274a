/** What the scripts of the book find in a page: of MathJax, of Sphinx's search, and of the bundle of the Jupyter widgets. */

interface MathItem {
  math: string;
  typesetRoot: Element;
}

interface Window {
  MathJax?: {
    startup?: { promise?: Promise<void>; document?: { math: Iterable<MathItem> } };
    typesetPromise(elements: Element[]): Promise<void>;
  };
  Jupyter?: { version: string };
  requirejs?: ((names: string[], ready: (...modules: unknown[]) => void) => void) & { config?: () => void };
  define?: (needs: string[], factory: (options: { uri: string }) => any) => void;
}

/** Page, title, anchor, description, score, text or file. */
type SearchResult = [string, string, string, string | null, number, string];

declare class Stemmer {
  stemWord(word: string): string;
}
declare const SECTIONS: [page: string, anchor: string, title: string, keywords: string, text: string][];
declare const HOVER: { [target: string]: string | undefined };
declare const DOCUMENTATION_OPTIONS: { LINK_SUFFIX: string };
declare const Search: {
  output: Element;
  query(text: string): void;
  _parseQuery(text: string): [string, Set<string>, Set<string>, Set<string>, Set<string>];
  performObjectSearch(name: string, names: Set<string>): SearchResult[];
};
declare function _highlightText(element: Element, term: string, name: string): void;
declare function _orderResultsByScoreThenName(a: SearchResult, b: SearchResult): number;
declare function _finishSearch(count: number): void;
declare function _ready(act: () => void): void;
