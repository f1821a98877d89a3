import { ActionIcon, useMantineColorScheme } from '@mantine/core';
import { useHotkeys } from '@mantine/hooks';
import IconCommand from '@tabler/icons-react/dist/esm/icons/IconCommand.mjs';
import IconKey from '@tabler/icons-react/dist/esm/icons/IconKey.mjs';
import IconLogout from '@tabler/icons-react/dist/esm/icons/IconLogout.mjs';
import IconMoon from '@tabler/icons-react/dist/esm/icons/IconMoon.mjs';
import IconSun from '@tabler/icons-react/dist/esm/icons/IconSun.mjs';
import IconUser from '@tabler/icons-react/dist/esm/icons/IconUserCircle.mjs';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { Link, Outlet, useNavigate } from '@tanstack/react-router';
import { useCallback, useEffect, useRef, useState, useSyncExternalStore } from 'react';
import { body, client } from '../api/client';
import { keys } from '../api/live';
import { about, me, network } from '../api/queries';
import { Disclosure } from '../shared/Disclosure';
import { count } from '../shared/format';
import { LevelBadge, Simulated } from '../shared/status';
import { tell } from '../shared/tell';
import { texts } from '../shared/texts';
import { getUnread, subscribeUnread } from '../shared/unread';
import { Wordmark } from '../shared/Wordmark';
import { useConnection } from './live';
import { Palette } from './Palette';
import { partsOf } from './parts';
import styles from './Shell.module.css';

/** To the sign-in page; nothing that was shown to who was here stays in memory. */
function useLeave() {
  const cache = useQueryClient();
  const navigate = useNavigate();
  return useCallback(async () => {
    await navigate({ to: '/sign-in', replace: true });
    cache.removeQueries({ predicate: ({ queryKey }) => queryKey[0] !== keys.about[0] });
  }, [cache, navigate]);
}

function useSignOut() {
  const leave = useLeave();
  return useCallback(
    async (everywhere: boolean) => {
      const path = everywhere ? '/api/sign-out/everywhere' : '/api/sign-out';
      try {
        await body(client.POST(path));
      } catch (error) {
        tell(error);
        return;
      }
      await leave();
    },
    [leave],
  );
}

/** What came while another page is shown. */
function Unread() {
  const unread = useSyncExternalStore(subscribeUnread, getUnread);
  return unread > 0 ? (
    <span className={styles.unread}>{texts.shell.unread(count(unread))}</span>
  ) : null;
}

/** What surrounds every page of who is signed in. */
export function Shell() {
  const connection = useConnection();
  const navigate = useNavigate();
  const leave = useLeave();
  const who = useQuery(me).data;
  const site = useQuery(about).data;
  const link = useQuery(network).data?.link;
  const [searching, setSearching] = useState(false);
  const main = useRef<HTMLElement>(null);
  const { colorScheme, setColorScheme } = useMantineColorScheme();
  const dark =
    colorScheme === 'dark' ||
    (colorScheme === 'auto' && window.matchMedia('(prefers-color-scheme: dark)').matches);
  const otherTheme = dark ? 'light' : 'dark';
  const signOut = useSignOut();
  useHotkeys([['mod+K', () => setSearching(true)]], []);

  useEffect(() => {
    if (who === null) void leave();
  }, [who, leave]);

  const lost = connection === 'lost';
  const parts = partsOf(site, who?.role);
  return (
    <div className={styles.shell}>
      {/* biome-ignore lint/a11y/useValidAnchor: it leads to a place of this page, whose address the router keeps */}
      <a
        href="#content"
        className={styles.skip}
        onClick={(event) => {
          event.preventDefault();
          main.current?.focus();
        }}
      >
        {texts.skip}
      </a>
      <header className={styles.header}>
        <Wordmark />
        {site && <span className={styles.site}>{texts.site(site.site)}</span>}
        {site?.lab && <Simulated />}
        <div className={styles.tools}>
          {link && <LevelBadge level={link.status} label={texts.shell.link} />}
          <button type="button" className={styles.palette} onClick={() => setSearching(true)}>
            <IconCommand size={15} aria-hidden />
            <span>{texts.shell.palette}</span>
            <kbd>Ctrl K</kbd>
          </button>
          <ActionIcon
            variant="subtle"
            color="gray"
            size={36}
            aria-label={texts.shell.toTheme(otherTheme)}
            onClick={() => setColorScheme(otherTheme)}
          >
            {dark ? <IconSun size={19} /> : <IconMoon size={19} />}
          </ActionIcon>
          {who && (
            <Disclosure
              menu
              label={texts.shell.account(who.name, who.role)}
              icon={<IconUser size={21} aria-hidden />}
            >
              <p>{texts.shell.account(who.name, who.role)}</p>
              <button type="button" onClick={() => void navigate({ to: '/register' })}>
                <IconKey size={16} aria-hidden />
                {texts.shell.register}
              </button>
              <button type="button" onClick={() => void signOut(false)}>
                <IconLogout size={16} aria-hidden />
                {texts.shell.signOut}
              </button>
              {who.sessions > 1 && (
                <button type="button" onClick={() => void signOut(true)}>
                  {texts.shell.signOutEverywhere}
                </button>
              )}
            </Disclosure>
          )}
        </div>
      </header>
      <nav className={styles.nav} aria-label={texts.shell.navigation}>
        {parts.map(({ to, label, Icon }) => (
          <Link key={to} to={to} className={styles.part} activeProps={{ 'data-here': true }}>
            <Icon size={20} stroke={1.7} aria-hidden />
            <span>{label}</span>
            {to === '/chat' && <Unread />}
          </Link>
        ))}
      </nav>
      <main id="content" className={styles.main} ref={main} tabIndex={-1}>
        <div aria-live="polite">
          {lost && (
            <p className={styles.lost}>
              <strong>{texts.shell.lost}</strong> {texts.shell.lostWhat}
            </p>
          )}
        </div>
        <Outlet />
      </main>
      <Palette
        opened={searching}
        onClose={() => setSearching(false)}
        actions={[
          ...parts.map(({ to, label, Icon }) => ({
            label,
            Icon,
            run: () => void navigate({ to }),
          })),
          {
            label: texts.shell.register,
            Icon: IconKey,
            run: () => void navigate({ to: '/register' }),
          },
          {
            label: texts.shell[otherTheme],
            Icon: dark ? IconSun : IconMoon,
            run: () => setColorScheme(otherTheme),
          },
          { label: texts.shell.signOut, Icon: IconLogout, run: () => void signOut(false) },
        ]}
      />
    </div>
  );
}
