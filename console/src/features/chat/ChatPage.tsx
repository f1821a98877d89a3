import { Button } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { about, chat as chatQuery, me } from '../../api/queries';
import type { Chat } from '../../chat/engine/chat';
import { count } from '../../shared/format';
import { explain, Trouble } from '../../shared/Trouble';
import { texts } from '../../shared/texts';
import { chat as say } from '../../texts/chat';
import { Asked } from './Asking';
import styles from './ChatPage.module.css';
import { Conversation } from './Conversation';
import { GroupConversation } from './GroupConversation';
import { NotesConversation } from './NotesConversation';
import { People } from './People';
import { useChat, useView, type Whose } from './useChat';

/** Talk to people; keys, pads and what was said are in this browser alone. */
export function ChatPage() {
  const who = useQuery(me).data;
  const site = useQuery(about).data;
  const { data, error, refetch } = useQuery(chatQuery);
  if (error)
    return (
      <Trouble {...explain(error)} action={{ label: texts.again, run: () => void refetch() }} />
    );
  if (!who || !site || !data) return <p>{texts.shell.connecting}</p>;
  if (data.relays.length === 0) return <Trouble title={say.noRelay} what={say.noRelayWhat} />;
  return (
    <div className={styles.page}>
      <header>
        <h1 className={styles.title}>{say.title}</h1>
        <p className={styles.lead}>{say.lead}</p>
      </header>
      <Own
        whose={{
          site: site.site,
          account: who.name,
          name: `${who.name}@${site.site}`,
          relays: data.relays,
          sae: data.sae,
        }}
      />
    </div>
  );
}

function Own({ whose }: { whose: Whose }) {
  const [opened, here] = useChat(whose);
  switch (opened.is) {
    case 'opening':
      return <p>{texts.shell.connecting}</p>;
    case 'elsewhere':
      return (
        <Trouble
          title={say.elsewhere}
          what={say.elsewhereWhat}
          action={{ label: say.here, run: here }}
        />
      );
    case 'unusable':
      return <Trouble title={say.unusable} what={say.unusableWhat} />;
    case 'open':
      return <Talk chat={opened.chat} />;
  }
}

function Talk({ chat }: { chat: Chat }) {
  const view = useView(chat);
  const [peer, setPeer] = useState<string | null>(null);
  /** Id of the message that was searched for, in hexadecimal. */
  const [sought, setSought] = useState<string | null>(null);
  const chosen = view.conversations.find((each) => each.peer === peer);
  const group = view.groups.find((each) => each.group === peer);
  const isNotes = peer === chat.notes.me;
  const request = view.strange.requests.find((each) => each.peer === peer);
  const isChosen = Boolean(chosen || group || isNotes || request);
  return (
    <>
      <p className={styles.connection} role="status" data-connection={view.connection}>
        <span>{view.isOtherRelay ? say.otherRelay : say.connection[view.connection]}</span>
        {view.unshown > 0 && <span>{say.unshown(count(view.unshown))}</span>}
        <Notify />
      </p>
      <div className={styles.columns} data-chosen={isChosen || undefined}>
        <People
          chat={chat}
          view={view}
          chosen={peer}
          onChoose={(who, message) => {
            setPeer(who);
            setSought(message);
          }}
        />
        {group && (
          <GroupConversation
            key={group.group}
            chat={chat}
            view={view}
            group={group}
            sought={sought}
            onBack={() => setPeer(null)}
            onChoose={setPeer}
          />
        )}
        {chosen && (
          <Conversation
            key={chosen.peer}
            chat={chat}
            conversation={chosen}
            sought={sought}
            onBack={() => setPeer(null)}
          />
        )}
        {isNotes && (
          <NotesConversation
            chat={chat}
            notes={view.notes}
            sought={sought}
            onBack={() => setPeer(null)}
          />
        )}
        {request && (
          <Asked key={request.peer} chat={chat} request={request} onBack={() => setPeer(null)} />
        )}
        {!isChosen && <p className={styles.choose}>{say.choose}</p>}
      </div>
    </>
  );
}

/** Asks the browser for notices, where it was not asked yet. */
function Notify() {
  const [permission, setPermission] = useState(
    'Notification' in globalThis ? Notification.permission : 'denied',
  );
  if (permission !== 'default') return null;
  return (
    <Button
      size="compact-xs"
      variant="default"
      onClick={() => void Notification.requestPermission().then(setPermission)}
    >
      {say.notify}
    </Button>
  );
}
