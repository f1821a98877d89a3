import { Button, NativeSelect, PasswordInput } from '@mantine/core';
import { type FormEvent, useState } from 'react';
import { type OwnHandle, PasswordsDiffer } from '../../chat/engine/account';
import type { Chat } from '../../chat/engine/chat';
import type { Strange } from '../../chat/engine/requests';
import type { Visibility } from '../../chat/protocol/accounts';
import { count } from '../../shared/format';
import { saveText } from '../../shared/save';
import { handle as say } from '../../texts/handle';
import styles from './Handle.module.css';
import { Devices } from './HandleDevices';
import { HandleDoor } from './HandleDoor';
import { Part, Problem } from './HandlePart';
import { useWork } from './useWork';
import { reason } from './words';

interface HandleProps {
  chat: Chat;
  handle: OwnHandle | null;
  strange: Strange;
}

/** Our name at the relay: to have one, to choose who finds it, and to look after the account. */
export function Handle({ chat, handle, strange }: HandleProps) {
  if (!handle?.isLoggedIn)
    return (
      <>
        <HandleDoor key={handle?.handle} chat={chat} before={handle?.handle ?? null} />
        {handle && <NewPassword chat={chat} isForgotten />}
        {strange.blocked.length > 0 && (
          <Part title={say.blocked}>
            <div>
              <Unheard chat={chat} blocked={strange.blocked} />
            </div>
          </Part>
        )}
      </>
    );
  return (
    <div className={styles.own}>
      <p
        className={styles.state}
        role="status"
        data-failed={handle.published instanceof Error || undefined}
      >
        {stateOf(handle)}
      </p>
      <Finds chat={chat} handle={handle} />
      <Box chat={chat} strange={strange} />
      <NewPassword chat={chat} />
      <Devices chat={chat} />
      <Export chat={chat} />
      <Leave chat={chat} />
      <Delete chat={chat} handle={handle.handle} />
    </div>
  );
}

function stateOf({ handle, isOurs, published }: OwnHandle): string {
  if (!isOurs) return say.state.other(handle);
  if (published instanceof Error) return say.state.failed(handle, reason(published));
  return say.state[published](handle);
}

const EXPORT = 'bellwire-account.json';
const CHOICES = [1, 2, 0] as const;

function Finds({ chat, handle: { visibility } }: { chat: Chat; handle: OwnHandle }) {
  const { busy, problem, run } = useWork();
  const choices = CHOICES.map((each) => ({ value: String(each), label: say.visibility[each] }));
  const data = visibility === null ? [{ value: '', label: say.unknown }, ...choices] : choices;
  return (
    <NativeSelect
      label={say.finds}
      value={visibility === null ? '' : String(visibility)}
      disabled={busy !== null}
      error={problem}
      onChange={({ currentTarget: { value } }) => {
        const chosen: Visibility | undefined = CHOICES.find((each) => String(each) === value);
        if (chosen !== undefined) void run('', () => chat.handle.setVisibility(chosen));
      }}
      data={data.map(({ value, label = '' }) => ({ value, label }))}
    />
  );
}

function Box({ chat, strange: { rubbish, blocked } }: { chat: Chat; strange: Strange }) {
  const { busy, problem, run } = useWork();
  const [isDrawn, setDrawn] = useState(false);
  const draw = async () => setDrawn(await run('box', () => chat.handle.newBox()));
  return (
    <Part title={say.box}>
      <div>
        <p>{say.boxLead}</p>
        {rubbish > 0 && <p className={styles.hint}>{say.rubbish(count(rubbish))}</p>}
        <div className={styles.row}>
          <Button
            size="compact-md"
            fz="sm"
            variant="default"
            loading={busy === 'box'}
            onClick={() => void draw()}
          >
            {say.boxDraw}
          </Button>
        </div>
        <p role="status" className={styles.hint} hidden={!isDrawn}>
          {say.boxDrawn}
        </p>
        <Problem>{problem}</Problem>
        <Unheard chat={chat} blocked={blocked} />
      </div>
    </Part>
  );
}

/** Who is blocked, to be heard again. */
function Unheard({ chat, blocked }: { chat: Chat; blocked: Strange['blocked'] }) {
  const { busy, problem, run } = useWork();
  if (blocked.length === 0) return null;
  return (
    <>
      <ul className={styles.blocked} aria-label={say.blocked}>
        {blocked.map(({ peer, name }) => (
          <li key={peer}>
            <Button
              size="compact-md"
              fz="sm"
              variant="default"
              disabled={busy !== null}
              onClick={() => void run(peer, () => chat.requests.unblock(peer))}
            >
              {say.unblock(say.named(name))}
            </Button>
          </li>
        ))}
      </ul>
      <Problem>{problem}</Problem>
    </>
  );
}

function NewPassword({ chat, isForgotten = false }: { chat: Chat; isForgotten?: boolean }) {
  const { busy, problem, run } = useWork();
  const [byIdentity, setByIdentity] = useState(isForgotten);
  const [isSet, setSet] = useState(false);
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const form = event.currentTarget;
    const data = new FormData(form);
    const typed = (name: string) => String(data.get(name) ?? '');
    const work = run('password', async () => {
      if (typed('next') !== typed('repeat')) throw new PasswordsDiffer();
      await chat.handle.setPassword(typed('next'), byIdentity ? null : typed('old'));
      form.reset();
    });
    void work.then(setSet);
  };
  return (
    <Part title={isForgotten ? say.forgot : say.setPassword}>
      <form onSubmit={submit}>
        <p>{byIdentity ? say.byIdentity : say.setPasswordLead}</p>
        {!byIdentity && (
          <PasswordInput
            name="old"
            label={say.old}
            required
            maxLength={1024}
            autoComplete="current-password"
          />
        )}
        <PasswordInput
          name="next"
          label={say.next}
          required
          maxLength={1024}
          autoComplete="new-password"
        />
        <PasswordInput
          name="repeat"
          label={say.nextRepeat}
          required
          maxLength={1024}
          autoComplete="new-password"
        />
        <Problem>{problem}</Problem>
        <div className={styles.row}>
          <Button type="submit" size="compact-md" fz="sm" variant="default" loading={busy !== null}>
            {say.set}
          </Button>
          {!isForgotten && (
            <Button
              size="compact-md"
              fz="sm"
              variant="transparent"
              onClick={() => setByIdentity(!byIdentity)}
            >
              {byIdentity ? say.remembered : say.forgotten}
            </Button>
          )}
        </div>
        <p role="status" className={styles.hint} hidden={!(busy || isSet)}>
          {busy ? say.works : say.isSet}
        </p>
      </form>
    </Part>
  );
}

function Export({ chat }: { chat: Chat }) {
  const { busy, problem, run } = useWork();
  const save = async () => saveText(EXPORT, await chat.handle.export(), 'application/json');
  return (
    <Part title={say.export}>
      <div>
        <p>{say.exportLead}</p>
        <div className={styles.row}>
          <Button
            size="compact-md"
            fz="sm"
            variant="default"
            loading={busy !== null}
            onClick={() => void run('export', save)}
          >
            {say.exportSubmit}
          </Button>
        </div>
        <Problem>{problem}</Problem>
      </div>
    </Part>
  );
}

function Leave({ chat }: { chat: Chat }) {
  const { busy, problem, run } = useWork();
  return (
    <Part title={say.end}>
      <div>
        <p>{say.endLead}</p>
        <div className={styles.row}>
          <Button
            size="compact-md"
            fz="sm"
            variant="default"
            loading={busy === 'here'}
            disabled={busy !== null}
            onClick={() => void run('here', () => chat.handle.logOut())}
          >
            {say.end}
          </Button>
          <Button
            size="compact-md"
            fz="sm"
            variant="default"
            loading={busy === 'everywhere'}
            disabled={busy !== null}
            onClick={() => void run('everywhere', () => chat.handle.logOutEverywhere())}
          >
            {say.endEverywhere}
          </Button>
        </div>
        <Problem>{problem}</Problem>
      </div>
    </Part>
  );
}

function Delete({ chat, handle }: { chat: Chat; handle: string }) {
  const { busy, problem, run } = useWork();
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const password = String(new FormData(event.currentTarget).get('password') ?? '');
    void run('delete', () => chat.handle.delete(password));
  };
  return (
    <Part title={say.delete}>
      <form onSubmit={submit}>
        <p>{say.deleteLead(handle)}</p>
        <PasswordInput
          name="password"
          label={say.password}
          required
          maxLength={1024}
          autoComplete="current-password"
        />
        <Problem>{problem}</Problem>
        <div className={styles.row}>
          <Button type="submit" size="compact-md" fz="sm" color="red" loading={busy !== null}>
            {say.deleteSubmit(handle)}
          </Button>
        </div>
      </form>
    </Part>
  );
}
